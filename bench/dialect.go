package main

import (
	"bytes"
	"strings"
)

// dialect is how clients talk to a server. {channel} and {data} stand for what
// differs. It is never changed.
type dialect struct {
	path    string
	wayIn   []step // after the upgrade, until the client is in its channel
	publish string
	ignored []string // beginnings of frames that tell a load nothing
	ping    string   // a frame that is answered with itself; "" is none
	echoes  bool     // a publisher gets its own message
	batches bool     // a frame may hold several messages
}

// step is something that a client waits for, and what it says then.
type step struct {
	hears string // the beginning of a frame; "" waits for nothing
	says  string // "" is nothing
}

func gatecastDialect(in entrance) dialect {
	wayIn := []step{{hears: `{"type":"welcome"`}}
	switch in {
	case inChannel:
		wayIn[0].says = `{"type":"subscribe","id":1,"channel":"{channel}"}`
		wayIn = append(wayIn, step{hears: `{"type":"subscribed"`})
	case inLobby:
		wayIn = append(wayIn, step{hears: `{"type":"subscribed","channel":"lobby"`})
	}
	return dialect{
		path:    "/ws",
		wayIn:   wayIn,
		publish: `{"type":"publish","channel":"{channel}","data":{data}}`,
		ignored: []string{`{"type":"ack"`, `{"type":"user_joined"`, `{"type":"user_left"`, `{"type":"presence"`},
	}
}

func centrifugeDialect(in entrance) dialect {
	wayIn := []step{{says: `{"id":1,"connect":{}}`}, {hears: `{"id":1,"connect"`}}
	if in != atDoor {
		wayIn[1].says = `{"id":2,"subscribe":{"channel":"{channel}"}}`
		wayIn = append(wayIn, step{hears: `{"id":2,"subscribe"`})
	}
	return dialect{
		path:    "/connection/websocket",
		wayIn:   wayIn,
		publish: `{"id":3,"publish":{"channel":"{channel}","data":{data}}}`,
		ignored: []string{`{"id":3,"publish"`},
		ping:    `{}`,
		echoes:  true,
		batches: true,
	}
}

// plainDialect is that of our small programs on libraries that have no protocol
// of their own.
func plainDialect(entrance) dialect {
	return dialect{path: "/ws?channel={channel}", wayIn: []step{{hears: "joined"}}, publish: `{data}`, echoes: true}
}

// aside takes a frame that brings nothing of the load, and gives the answer to
// it, or nil.
func (d *dialect) aside(f frame) ([]byte, error) {
	if d.ping != "" && string(f.payload) == d.ping {
		return appendFrame(nil, opText, f.payload), nil
	}
	for _, beginning := range d.ignored {
		if hasPrefix(f.payload, beginning) {
			return nil, nil
		}
	}
	return nil, unexpected(f)
}

func hasPrefix(b []byte, prefix string) bool {
	return len(b) >= len(prefix) && string(b[:len(prefix)]) == prefix
}

// inChannelOf puts a channel's name into a text of the dialect.
func inChannelOf(text, channel string) string { return strings.ReplaceAll(text, "{channel}", channel) }

// asBrowsers are headers that browsers send, and that servers may keep.
const asBrowsers = "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36\r\n" +
	"Accept-Encoding: gzip, deflate, br, zstd\r\nAccept-Language: en-US,en;q=0.9\r\nCache-Control: no-cache\r\nPragma: no-cache\r\n"

// request is the handshake of a client. The key is the example of RFC 6455, 1.3;
// nothing here looks at the answer to it.
func (d *dialect) request(addr, channel, token string) []byte {
	var b bytes.Buffer
	b.WriteString("GET " + inChannelOf(d.path, channel) + " HTTP/1.1\r\nHost: " + addr + "\r\nOrigin: http://" + addr + "\r\n" + asBrowsers +
		"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n")
	if token != "" {
		b.WriteString("Authorization: Bearer " + token + "\r\n")
	}
	b.WriteString("\r\n")
	return b.Bytes()
}

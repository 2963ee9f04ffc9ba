// A server on Node's ws: what a client sends goes to everyone in its channel.
'use strict'

const { WebSocket, WebSocketServer } = require('ws')

const channels = new Map() // sets of clients by name

function channel (name) {
  if (!channels.has(name)) channels.set(name, new Set())
  return channels.get(name)
}

const server = new WebSocketServer({ host: '127.0.0.1', port: 0, backlog: 4096, perMessageDeflate: false })

server.on('listening', () => {
  console.log(JSON.stringify({ page: `http://127.0.0.1:${server.address().port}/` }))
})

server.on('connection', (client, request) => {
  const members = channel(new URL(request.url, 'http://localhost').searchParams.get('channel'))
  members.add(client)
  client.on('close', () => members.delete(client))
  client.on('error', () => {}) // close follows
  client.on('message', (data, isBinary) => {
    for (const member of members) {
      if (member.readyState === WebSocket.OPEN) member.send(data, { binary: isBinary })
    }
  })
  client.send('joined')
})

process.on('SIGTERM', () => process.exit(0))

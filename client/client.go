// Package client is the JavaScript client, embedded so that the server can
// serve the very file that the npm package holds.
package client

import "embed"

// Files are what browsers may load.
//
//go:embed gatecast.js
var Files embed.FS

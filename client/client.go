// Package client is the JavaScript client, embedded so that the server can
// serve the very files that the npm package holds.
package client

import "embed"

// Files are what browsers may load.
//
//go:embed *.js
var Files embed.FS

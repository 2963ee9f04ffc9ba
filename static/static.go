// Package static is the demo page, embedded.
package static

import "embed"

// Files are the page's: index.html is what / shows.
//
//go:embed index.html page.js session.js api.js memory.js room.js talk.js words.js style.css icon.svg
var Files embed.FS

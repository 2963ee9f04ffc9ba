// Package static is the demo page, embedded.
package static

import "embed"

// Files are the page's: index.html is what / shows.
//
//go:embed *.html *.css *.js *.svg
var Files embed.FS

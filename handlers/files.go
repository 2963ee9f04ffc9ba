package handlers

import (
	"io/fs"
	"net/http"

	"github.com/gofiber/fiber/v2"
	"github.com/gofiber/fiber/v2/middleware/filesystem"
)

// files serves an embedded folder. Browsers ask again each time, so that a new
// server's page is seen at once.
func files(root fs.FS) fiber.Handler {
	serve := filesystem.New(filesystem.Config{Root: http.FS(root)})
	return func(c *fiber.Ctx) error {
		c.Set(fiber.HeaderCacheControl, "no-cache")
		return serve(c)
	}
}

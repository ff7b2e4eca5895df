// Package web holds the pages of the shop and the console in the program. Their sources are in web/app; `make web` builds them.
package web

import (
	"embed"
	"io/fs"
)

// dist is what Vite built. Without Node it holds the tracked placeholder alone.
//
//go:embed all:app/dist
var dist embed.FS

// index is the file that exists once the pages are built.
const index = "index.html"

// Files returns the built pages, or nil if they were not built when the program was.
func Files() fs.FS {
	files, err := fs.Sub(dist, "app/dist")
	if err != nil {
		return nil
	}
	if _, err := fs.Stat(files, index); err != nil {
		return nil
	}
	return files
}

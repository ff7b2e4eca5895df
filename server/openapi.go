package server

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"strings"

	"github.com/spillway/spillway/docs/openapi"
)

// maxOpenAPIBytes bounds the document when it is decompressed.
const maxOpenAPIBytes = 4 << 20

// serveOpenAPI serves the description of the API, compressed for clients that accept it.
func serveOpenAPI(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", "application/yaml")
	h.Set("Cache-Control", "public, max-age=60")
	h.Add("Vary", "Accept-Encoding")
	if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		h.Set("Content-Encoding", "gzip")
		_, _ = w.Write(openapi.Compressed) // The client may be gone.
		return
	}
	text, err := gzip.NewReader(bytes.NewReader(openapi.Compressed))
	if err != nil { // It is part of the program.
		http.Error(w, "the description cannot be read", http.StatusInternalServerError)
		return
	}
	_, _ = io.Copy(w, io.LimitReader(text, maxOpenAPIBytes))
}

package web

import (
	"io/fs"
	"testing"
)

// TestFiles_HaveBothPagesOrNone holds with and without Node.
func TestFiles_HaveBothPagesOrNone(t *testing.T) {
	files := Files()
	if files == nil {
		t.Log("the pages are not built")
		return
	}
	for _, page := range []string{"index.html", "ops.html", "static/icon.svg"} {
		if _, err := fs.Stat(files, page); err != nil {
			t.Errorf("%s is missing: %v", page, err)
		}
	}
}

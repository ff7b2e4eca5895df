package main

import (
	"fmt"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"

	"entgo.io/ent/entc/gen"
)

// clientWithoutMutate removes the client's methods Mutate and mutate, which are never called: they have the linker keep each table's builders of updates, upserts and
// deletions, also those that nothing uses: 450 kB of the program.
func clientWithoutMutate(next gen.Generator) gen.Generator {
	return gen.GenerateFunc(func(g *gen.Graph) error {
		if err := next.Generate(g); err != nil {
			return err
		}
		name := filepath.Join(g.Target, "client.go")
		source, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		if source, err = withoutMutate(source); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		return os.WriteFile(name, source, 0o644) //nolint:gosec // Source is for everybody to read.
	})
}

// withoutMutate removes the methods from the source of a file.
func withoutMutate(source []byte) ([]byte, error) {
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, "", source, parser.ParseComments)
	if err != nil {
		return nil, err
	}
	var kept []byte
	from := 0
	for _, d := range file.Decls {
		f, ok := d.(*ast.FuncDecl)
		if !ok || f.Recv == nil || !strings.EqualFold(f.Name.Name, "mutate") {
			continue
		}
		begin := f.Pos()
		if f.Doc != nil {
			begin = f.Doc.Pos()
		}
		kept = append(kept, source[from:files.Position(begin).Offset]...)
		from = files.Position(f.End()).Offset
	}
	if from == 0 {
		return nil, fmt.Errorf("no method Mutate: %w", errUnsupported)
	}
	return format.Source(append(kept, source[from:]...))
}

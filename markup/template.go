package markup

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"text/template/parse"
)

// errUnsupported is the cause of the errors of Parse for what text/template knows and this package does not.
var errUnsupported = errors.New("not supported by package markup")

// Template is a parsed template. It is safe for concurrent use.
type Template struct {
	root  *parse.ListNode
	trees map[string]*parse.Tree
	html  bool
}

// Text parses a template of which the output is plain text. The last file is the one that Execute executes; it can use what the others define.
func Text(files fs.FS, names ...string) (*Template, error) { return parseFiles(files, false, names) }

// HTML parses a template of which the output is HTML. Every value is escaped, which is sufficient between tags and in a quoted attribute that
// is no URL, style or script; the template must not use a value elsewhere.
func HTML(files fs.FS, names ...string) (*Template, error) { return parseFiles(files, true, names) }

func parseFiles(files fs.FS, html bool, names []string) (*Template, error) {
	t := &Template{trees: map[string]*parse.Tree{}, html: html}
	for _, name := range names {
		text, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, err
		}
		tree, err := parse.New(name).Parse(string(text), "", "", t.trees)
		if err != nil {
			return nil, err
		}
		t.root = tree.Root
	}
	for name, tree := range t.trees {
		if err := t.check(tree.Root); err != nil {
			return nil, fmt.Errorf("template %s: %w", name, err)
		}
	}
	if err := t.check(t.root); err != nil {
		return nil, err
	}
	return t, nil
}

// Execute appends the output for the data to out. Its error is a field that the data lacks; out then has a part of the output.
func (t *Template) Execute(out *bytes.Buffer, data any) error {
	return newState(t, out, data).list(t.root)
}

// check returns an error if the template contains a node that state does not execute.
func (t *Template) check(list *parse.ListNode) error {
	if list == nil {
		return nil
	}
	for _, node := range list.Nodes {
		if err := t.checkNode(node); err != nil {
			return err
		}
	}
	return nil
}

func (t *Template) checkNode(node parse.Node) error {
	switch n := node.(type) {
	case *parse.TextNode:
		return nil
	case *parse.ActionNode:
		return checkPipe(n.Pipe)
	case *parse.IfNode:
		return t.checkBranch(&n.BranchNode)
	case *parse.WithNode:
		return t.checkBranch(&n.BranchNode)
	case *parse.RangeNode:
		return t.checkBranch(&n.BranchNode)
	case *parse.TemplateNode:
		if t.trees[n.Name] == nil {
			return fmt.Errorf("{{template %q}}: %w", n.Name, errors.New("it is not defined"))
		}
		return checkPipe(n.Pipe)
	}
	return fmt.Errorf("%s: %w", node, errUnsupported)
}

func (t *Template) checkBranch(n *parse.BranchNode) error {
	if len(n.Pipe.Decl) > 0 {
		return fmt.Errorf("%s: %w", n.Pipe, errUnsupported)
	}
	return errors.Join(checkPipe(n.Pipe), t.check(n.List), t.check(n.ElseList))
}

// checkPipe accepts a dot, a field, or a variable, and one declaration of a variable.
func checkPipe(p *parse.PipeNode) error {
	if p == nil || p.IsAssign || len(p.Decl) > 1 || len(p.Cmds) != 1 || len(p.Cmds[0].Args) != 1 {
		return fmt.Errorf("%s: %w", p, errUnsupported)
	}
	switch p.Cmds[0].Args[0].(type) {
	case *parse.DotNode, *parse.FieldNode, *parse.VariableNode:
		return nil
	}
	return fmt.Errorf("%s: %w", p, errUnsupported)
}

// escaper escapes text as html/template does between tags and in quoted attributes.
var escaper = strings.NewReplacer("\x00", "\uFFFD", `"`, "&#34;", "&", "&amp;", "'", "&#39;", "+", "&#43;", "<", "&lt;", ">", "&gt;")

package markup

import (
	"bytes"
	"fmt"
	"reflect"
	"text/template/parse"
)

// maxDepth bounds templates that use each other in a circle.
const maxDepth = 100

// state is one execution of a template.
type state struct {
	t     *Template
	out   *bytes.Buffer
	dot   reflect.Value
	vars  []variable // The innermost is the last.
	depth int
}

type variable struct {
	name  string
	value reflect.Value
}

func newState(t *Template, out *bytes.Buffer, data any) *state {
	dot := reflect.ValueOf(data)
	return &state{t: t, out: out, dot: dot, vars: []variable{{"$", dot}}}
}

func (s *state) list(list *parse.ListNode) error {
	if list == nil {
		return nil
	}
	scope := len(s.vars)
	defer func() { s.vars = s.vars[:scope] }()
	for _, node := range list.Nodes {
		if err := s.node(node); err != nil {
			return err
		}
	}
	return nil
}

func (s *state) node(node parse.Node) error {
	switch n := node.(type) {
	case *parse.TextNode:
		s.out.Write(n.Text)
		return nil
	case *parse.ActionNode:
		return s.action(n.Pipe)
	case *parse.IfNode:
		return s.branch(&n.BranchNode, false)
	case *parse.WithNode:
		return s.branch(&n.BranchNode, true)
	case *parse.RangeNode:
		return s.loop(&n.BranchNode)
	case *parse.TemplateNode:
		return s.use(n)
	}
	return fmt.Errorf("%s: %w", node, errUnsupported)
}

// action declares a variable, or writes a value.
func (s *state) action(p *parse.PipeNode) error {
	v, err := s.value(p)
	if err != nil {
		return err
	}
	if len(p.Decl) > 0 {
		s.vars = append(s.vars, variable{p.Decl[0].Ident[0], v})
		return nil
	}
	text := v.String()
	if v.Kind() != reflect.String {
		text = fmt.Sprint(v.Interface())
	}
	if s.t.html {
		_, err = escaper.WriteString(s.out, text)
		return err
	}
	s.out.WriteString(text)
	return nil
}

// branch executes an if, or a with, which sets the dot.
func (s *state) branch(n *parse.BranchNode, with bool) error {
	v, err := s.value(n.Pipe)
	switch {
	case err != nil:
		return err
	case !isTrue(v):
		return s.list(n.ElseList)
	case with:
		return s.with(v, n.List)
	}
	return s.list(n.List)
}

// loop executes a range over a slice or an array.
func (s *state) loop(n *parse.BranchNode) error {
	v, err := s.value(n.Pipe)
	switch {
	case err != nil:
		return err
	case v.Kind() != reflect.Slice && v.Kind() != reflect.Array:
		return fmt.Errorf("range over %s, which is a %s: %w", n.Pipe, v.Type(), errUnsupported)
	case v.Len() == 0:
		return s.list(n.ElseList)
	}
	for i := range v.Len() {
		if err := s.with(v.Index(i), n.List); err != nil {
			return err
		}
	}
	return nil
}

// with executes the list for another dot.
func (s *state) with(dot reflect.Value, list *parse.ListNode) error {
	outer := s.dot
	defer func() { s.dot = outer }()
	s.dot = dot
	return s.list(list)
}

// use executes a defined template.
func (s *state) use(n *parse.TemplateNode) error {
	if s.depth == maxDepth {
		return fmt.Errorf("%s: more than %d templates within each other", n, maxDepth)
	}
	dot, err := s.value(n.Pipe)
	if err != nil {
		return err
	}
	inner := state{t: s.t, out: s.out, dot: dot, vars: []variable{{"$", dot}}, depth: s.depth + 1}
	return inner.list(s.t.trees[n.Name].Root)
}

func (s *state) value(p *parse.PipeNode) (reflect.Value, error) {
	switch n := p.Cmds[0].Args[0].(type) {
	case *parse.DotNode:
		return s.dot, nil
	case *parse.FieldNode:
		return fields(s.dot, n.Ident)
	case *parse.VariableNode:
		for i := len(s.vars) - 1; i >= 0; i-- {
			if s.vars[i].name == n.Ident[0] {
				return fields(s.vars[i].value, n.Ident[1:])
			}
		}
	}
	return reflect.Value{}, fmt.Errorf("%s: %w", p, errUnsupported)
}

// fields follows a chain of fields.
func fields(v reflect.Value, names []string) (reflect.Value, error) {
	for _, name := range names {
		v = reflect.Indirect(v)
		if v.Kind() != reflect.Struct {
			return v, fmt.Errorf(".%s: the data is no structure", name)
		}
		f := v.FieldByName(name)
		if !f.IsValid() || !f.CanInterface() {
			return v, fmt.Errorf("%s has no exported field %s", v.Type(), name)
		}
		v = f
	}
	return v, nil
}

// isTrue is false for the values that are empty or zero.
func isTrue(v reflect.Value) bool {
	if v.Kind() == reflect.Slice || v.Kind() == reflect.Map {
		return v.Len() > 0
	}
	return !v.IsZero()
}

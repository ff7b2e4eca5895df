package markup_test

import (
	"bytes"
	"errors"
	htmltemplate "html/template"
	"testing"
	"testing/fstest"
	"text/template"

	"github.com/spillway/spillway/markup"
)

type inner struct {
	Name  string
	Count int
}

type state string

type data struct {
	*inner
	Text   string
	State  state
	Share  float64
	Big    float64
	On     bool
	Items  []inner
	Words  []string
	None   []string
	Nested struct{ Inner *inner }
	secret string
}

func someData(text string) data {
	d := data{
		inner: &inner{Name: text, Count: 7}, Text: text, State: "ok", Share: 0.1, Big: 1e20, On: true,
		Items: []inner{{"one", 1}, {text, 0}}, Words: []string{text, "", "b"}, secret: "hidden",
	}
	d.Nested.Inner = &inner{Name: "deep"}
	return d
}

const everything = `{{define "item"}}{{.Name}}{{with .Count}} x{{.}}{{else}} none{{end}}{{$.Name}};{{end}}
{{- /* a comment */ -}}
<p title="{{.Text}}" class="a {{.State}}">{{.Text}}|{{.Name}}|{{.Count}}|{{.Share}}|{{.Big}}|{{.On}}|{{.Nested.Inner.Name}}</p>
{{$d := .}}{{range .Items}}{{template "item" .}}{{$d.Text}}{{$d.Nested.Inner.Name}}{{$x := .Count}}{{$x}}{{end}}
{{- if .None}}never{{else if .On}}on{{end}}{{range .None}}never{{else}}empty{{end}}{{range .Words}}[{{.}}]{{end}}{{if .Share}}share{{end}}{{with .Text}}{{.}}{{end}}`

func files(text string) fstest.MapFS { return fstest.MapFS{"t": {Data: []byte(text)}} }

// FuzzTemplate_AsTheStandardLibrary: the output is that of text/template, and of html/template.
func FuzzTemplate_AsTheStandardLibrary(f *testing.F) {
	for _, text := range []string{"Ada", "", `<script>"'&+=`, "\x00", "\xff", "Köln\u2028", "{{.}}", "</p>"} {
		f.Add(text)
	}
	plain, wantPlain := must(markup.Text(files(everything), "t")), template.Must(template.New("t").Parse(everything))
	html, wantHTML := must(markup.HTML(files(everything), "t")), htmltemplate.Must(htmltemplate.New("t").Parse(everything))
	f.Fuzz(func(t *testing.T, text string) {
		d := someData(text)
		var got, want bytes.Buffer
		if err := errors.Join(plain.Execute(&got, &d), wantPlain.Execute(&want, &d)); err != nil || got.String() != want.String() {
			t.Errorf("text: %v\n%s\nwant\n%s", err, &got, &want)
		}
		got.Reset()
		want.Reset()
		if err := errors.Join(html.Execute(&got, &d), wantHTML.Execute(&want, &d)); err != nil || got.String() != want.String() {
			t.Errorf("HTML: %v\n%s\nwant\n%s", err, &got, &want)
		}
	})
}

func must(t *markup.Template, err error) *markup.Template {
	if err != nil {
		panic(err)
	}
	return t
}

// TestParse_RefusesWhatItDoesNotExecute: what text/template can do beyond is an error at the start, not in the middle of an output.
func TestParse_RefusesWhatItDoesNotExecute(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"{{print .}}", "{{.Text | len}}", `{{"constant"}}`, "{{range $i, $x := .Items}}{{end}}", "{{with $x := .Text}}{{end}}", "{{.Text .Name}}",
		"{{$x := 1}}", "{{$x := .Text}}{{$x = .Name}}", `{{template "missing" .}}`, `{{define "a"}}{{1}}{{end}}`, "{{template \"t\"}}",
		"{{range .Items}}{{break}}{{end}}", "{{(.Text).Name}}", "{{if .Text}}", "{{.Text", "{{nil}}",
	} {
		if _, err := markup.Text(files(text), "t"); err == nil {
			t.Errorf("%s: was parsed", text)
		}
	}
	if _, err := markup.HTML(files(""), "missing"); err == nil {
		t.Error("a file that does not exist was parsed")
	}
}

func TestExecute_MissingFields(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"{{.Missing}}", "{{.secret}}", "{{.Text.Name}}", "{{$.Missing}}", "{{range .Text}}{{end}}", "{{if .Missing}}{{end}}", "{{range .Missing}}{{end}}",
		`{{template "t" .Missing}}`, `{{define "loop"}}{{template "loop" .}}{{end}}{{template "loop" .}}`,
	} {
		var out bytes.Buffer
		if err := must(markup.Text(files(text), "t")).Execute(&out, someData("x")); err == nil {
			t.Errorf("%s: is %q, want an error", text, &out)
		}
	}
}

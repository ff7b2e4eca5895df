package load

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"html/template"
	"io"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode"

	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
)

// someResult contains every kind of value that a report shows, with names that contain markup.
func someResult(t *testing.T) *Result {
	t.Helper()
	var res *Result
	synctest.Test(t, func(t *testing.T) {
		shop := newFakeShop(150)
		shop.audits = func(int) (*spillwayv1.RunAuditResponse, error) {
			return &spillwayv1.RunAuditResponse{
				Rules:    []*spillwayv1.AuditRule{{Rule: "stock_adds_up", Description: `"><script>alert(1)</script>`, Checked: 2, Broken: 1}},
				Findings: []*spillwayv1.AuditFinding{{Rule: "stock_adds_up", Sku: "<b>HOT</b>", Detail: "<img src=x onerror=alert(1)>"}},
			}, nil
		}
		shop.before = func(_ context.Context, _ string, n int) error {
			switch n % 10 {
			case 3:
				return overloaded(time.Second)
			case 7:
				return errors.New("reset")
			}
			return nil
		}
		cfg := someConfig()
		cfg.Token, cfg.SettleWait = "op", time.Second
		res = mustRun(t, cfg, shop)
	})
	return res
}

var outside = regexp.MustCompile(`(?i)(src|href|url\(|@import|<script|<link|<iframe|<img|xmlns|//[a-z])`)

func TestHTML_SelfContained(t *testing.T) {
	t.Parallel()
	res := someResult(t)
	res.URL = "shop" // The report shows the shop's address as text.
	var out bytes.Buffer
	if err := res.HTML(&out); err != nil {
		t.Fatal(err)
	}
	text := strings.ReplaceAll(out.String(), "&lt;img src=x", "") // It was escaped.
	text = strings.ReplaceAll(text, "&lt;script", "")
	if found := outside.FindString(text); found != "" {
		i := strings.Index(text, found)
		t.Errorf("the report has %q: …%s…", found, text[max(0, i-60):min(len(text), i+60)])
	}
	for _, want := range []string{"VIOLATIONS FOUND", "stock_adds_up", "&lt;b&gt;HOT&lt;/b&gt;", `class="area accepted"`, `class="curve p99"`, "99 %"} {
		if !strings.Contains(text, want) {
			t.Errorf("the report lacks %q", want)
		}
	}
	if strings.Contains(text, "NaN") || strings.Contains(text, "Inf") || strings.Contains(text, "ZgotmplZ") {
		t.Error("a number or a class is none")
	}
	for i, svg := range regexp.MustCompile(`(?s)<svg.*?</svg>`).FindAllString(text, -1) {
		if err := wellFormed(svg); err != nil {
			t.Errorf("plot %d: %v", i, err)
		}
	}
}

// TestHTML_EscapedAsByHTMLTemplate fails for a template that uses a value where escaping for the context between tags and in quoted attributes
// is not sufficient.
func TestHTML_EscapedAsByHTMLTemplate(t *testing.T) {
	t.Parallel()
	res := someResult(t)
	res.Scenario, res.Run, res.URL = `<i>"'&+`, "{{.}}", "http://shop"
	var got, want bytes.Buffer
	if err := errors.Join(res.HTML(&got), template.Must(template.ParseFS(reportFiles, reportFile)).Execute(&want, res.page())); err != nil {
		t.Fatal(err)
	}
	if got.String() != want.String() {
		t.Errorf("the report is\n%s\nwant\n%s", &got, &want)
	}
}

// TestHTML_VerdictIsReadable checks that rules for other elements do not colour the verdict's text, which is white.
func TestHTML_VerdictIsReadable(t *testing.T) {
	t.Parallel()
	res := someResult(t)
	var out bytes.Buffer
	if err := res.HTML(&out); err != nil {
		t.Fatal(err)
	}
	text := out.String()
	classes := regexp.MustCompile(`<div class="(verdict [a-z]+)">`).FindStringSubmatch(text)
	if len(classes) != 2 || res.tone() != "bad" {
		t.Fatalf("the verdict is %v, its tone %q", classes, res.tone())
	}
	for _, rule := range regexp.MustCompile(`[;{\s]color: ([^;}]+)`).FindAllStringSubmatchIndex(text, -1) {
		begin := strings.LastIndex(text[:rule[0]+1], "}") + 1
		selector := strings.TrimSpace(text[begin : begin+strings.Index(text[begin:], "{")])
		for _, class := range strings.Fields(classes[1]) {
			if color := text[rule[2]:rule[3]]; selector == "."+class && color != "#fff" {
				t.Errorf("the rule %q makes the verdict %s", selector, color)
			}
		}
	}
}

func wellFormed(text string) error {
	d := xml.NewDecoder(strings.NewReader(text))
	for {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// TestHTML_EmptyResult has empty plots, and no division by zero.
func TestHTML_EmptyResult(t *testing.T) {
	t.Parallel()
	cfg := someConfig()
	r := &run{cfg: cfg, stats: newStats(cfg.Duration), record: newRecord(), probes: newProber(nil), buyers: &buyers{}, start: time.Now()}
	res := r.result(0)
	r.shipped(res)
	res.notChecked("nothing was sent")
	var out bytes.Buffer
	if err := errors.Join(res.HTML(&out), res.Write(&out, "table"), res.Write(&out, "json")); err != nil {
		t.Fatal(err)
	}
	if text := out.String(); !strings.Contains(text, "There is nothing to show.") || strings.Contains(text, "NaN") {
		t.Errorf("the report is %s", text)
	}
}

func TestWrite_TableAndJSONAgree(t *testing.T) {
	t.Parallel()
	res := someResult(t)
	var table, text bytes.Buffer
	if err := errors.Join(res.Write(&table, "table"), res.Write(&text, "json")); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"p99.9 ms", "accepted", "sold out", "shed", "failed", "time to durable", "time to shipped", "× no_response",
		"stock_adds_up", "1 violations", "VIOLATIONS FOUND",
	} {
		if !strings.Contains(table.String(), want) {
			t.Errorf("the table lacks %q:\n%s", want, table.String())
		}
	}
	var back Result
	if err := json.Unmarshal(text.Bytes(), &back); err != nil {
		t.Fatal(err)
	}
	if back.Outcomes["accepted"].Count != 150 || back.Outcomes["shed"].Count == 0 || back.Audit.Status != StatusViolated || len(back.Series) != 15 {
		t.Errorf("what came back: %s", text.String())
	}
}

// TestWrite_ControlCharactersOfTheServer: the texts of a shop at --url, in either form.
func TestWrite_ControlCharactersOfTheServer(t *testing.T) {
	const evil = "a\x1b[2Jb\u009b2Jc\u202ed"
	res := &Result{Audit: AuditCheck{Status: StatusViolated, Note: evil, Violations: []Violation{{Rule: evil, SKU: evil, OrderID: evil, Detail: evil}}}}
	res.Record = RecordCheck{Status: StatusNotRun, Note: evil}
	for _, form := range []string{"table", "json"} {
		var out bytes.Buffer
		if err := res.Write(&out, form); err != nil {
			t.Fatal(err)
		}
		for _, r := range out.String() {
			if r != '\n' && !unicode.IsPrint(r) {
				t.Fatalf("%s has %q: %q", form, r, out.String())
			}
		}
	}
}

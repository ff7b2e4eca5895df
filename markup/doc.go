// Package markup fills templates with the fields of structures. A template is written as for text/template and parsed by its parser, but knows only
// text, fields, variables, if, with, range, define and template: no function, no method, and no pipe.
//
// It exists because text/template calls methods by name. A program with such calls keeps every exported method of every type, which was a third
// of Spillway's size: see docs/design/start-and-size.md.
package markup

package main

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/alecthomas/kong"
)

// completionLine returns the command line that a shell wants completed, up to its cursor.
func completionLine() (line string, ok bool) {
	line = os.Getenv("COMP_LINE")
	if point, err := strconv.Atoi(os.Getenv("COMP_POINT")); err == nil && point >= 0 && point < len(line) {
		line = line[:point]
	}
	return line, line != ""
}

// completeLine prints what the last word of the line may become.
func completeLine(model *kong.Node, line string, out io.Writer) error {
	words := strings.Fields(line)
	if len(words) == 0 || unicode.IsSpace(rune(line[len(line)-1])) {
		words = append(words, "")
	}
	last := len(words) - 1
	words = append(words[:last], strings.Split(words[last], "=")...) // A flag and its value may be one word.
	if len(words) < 2 {
		return nil
	}
	last = len(words) - 1
	for _, word := range slices.Sorted(slices.Values(candidates(model, words[1:last], words[last]))) {
		if strings.HasPrefix(word, words[last]) {
			if _, err := fmt.Fprintln(out, word); err != nil {
				return err
			}
		}
	}
	return nil
}

// candidates returns the values of the flag before the last word, or else the flags, or the commands and the values of the next argument.
func candidates(node *kong.Node, before []string, last string) []string {
	flags := slices.Clone(node.Flags)
	var value *kong.Flag // waits for its value
	arguments := 0
	for _, word := range before {
		switch child := childNamed(node, word); {
		case value != nil:
			value = nil
		case strings.HasPrefix(word, "-"):
			value = valueFlag(flags, word)
		case child != nil:
			node, flags = child, append(flags, child.Flags...)
		default:
			arguments++
		}
	}
	switch {
	case value != nil:
		return enumOf(value.Value)
	case strings.HasPrefix(last, "-"):
		return flagNames(flags)
	case arguments < len(node.Positional):
		return enumOf(node.Positional[arguments])
	}
	return commandNames(node)
}

func childNamed(n *kong.Node, name string) *kong.Node {
	if i := slices.IndexFunc(n.Children, func(c *kong.Node) bool { return c.Name == name && !c.Hidden }); i >= 0 {
		return n.Children[i]
	}
	return nil
}

// valueFlag returns the flag of the word if the next word is its value.
func valueFlag(flags []*kong.Flag, word string) *kong.Flag {
	i := slices.IndexFunc(flags, func(f *kong.Flag) bool { return "--"+f.Name == word || f.Short != 0 && "-"+string(f.Short) == word })
	if i < 0 || flags[i].IsBool() {
		return nil
	}
	return flags[i]
}

func enumOf(v *kong.Value) []string {
	if v.Enum == "" {
		return nil
	}
	return slices.DeleteFunc(v.EnumSlice(), func(s string) bool { return s == "" })
}

func flagNames(flags []*kong.Flag) (names []string) {
	for _, f := range flags {
		if f.Hidden {
			continue
		}
		names = append(names, "--"+f.Name)
		if f.Short != 0 {
			names = append(names, "-"+string(f.Short))
		}
	}
	return names
}

func commandNames(n *kong.Node) (names []string) {
	for _, c := range n.Children {
		if !c.Hidden {
			names = append(names, c.Name)
		}
	}
	return names
}

package server

import "strings"

// withoutClass returns the text of an error without that of its class at the end: clients have the code for it. An error that has no
// other text keeps it.
func withoutClass(err, class error) string {
	return strings.TrimSuffix(err.Error(), ": "+class.Error())
}

// Package server is the synchronous half: the API. Each service is a struct of the parts that it needs; a handler checks what
// the validation rules cannot say, calls the domain, and returns the domain's errors, which one edge (errors.go) translates.
// Who may call what is one table (access.go).
package server

// Package openapi has the API as an OpenAPI 3.1 document, which `make generate` makes of the .proto files.
package openapi

import _ "embed" // The document is part of the program.

// Compressed is openapi.yaml, compressed by gzip: as text it would be a hundredth of the program.
//
//go:embed openapi.yaml.gz
var Compressed []byte

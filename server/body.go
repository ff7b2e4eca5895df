package server

import (
	"compress/gzip"
	"context"
	"io"
	"net/http"
	"strconv"

	"connectrpc.com/connect"

	"github.com/spillway/spillway/order"
)

const (
	// maxBodyBytes bounds a request's body, and its message once it is decompressed: an order of 100 lines has about 6 kB.
	maxBodyBytes = 64 << 10
	// maxDiscardBytes bounds how much of a body that is too large is read to its end, so that its sender reads the response instead of
	// finding the connection closed.
	maxDiscardBytes = 1 << 20
)

func bodyTooLarge() refusal {
	limit := strconv.Itoa(maxBodyBytes)
	return refusal{
		code: connect.CodeInvalidArgument, reason: order.ReasonBodyTooLarge,
		text: "the request is larger than " + limit + " bytes", metadata: map[string]string{"maximum": limit},
	}
}

// boundBody bounds the body of each request: connect.WithReadMaxBytes would report one that is too large as `resource_exhausted`, which
// clients send again. A Content-Length beyond the bound gets HTTP status 413; a body without one is read up to the bound.
func boundBody(errs rpcErrors, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength > maxBodyBytes {
			_, _ = io.CopyN(io.Discard, r.Body, maxDiscardBytes) // The body may be shorter, or its sender gone.
			errs.write(w, r, bodyTooLarge(), http.StatusRequestEntityTooLarge)
			return
		}
		r.Body = &boundedBody{ReadCloser: r.Body, bounded: bounded{r: r.Body, left: maxBodyBytes + envelopeBytes, err: func() error {
			return bodyTooLarge().connectError(r.Context())
		}}}
		next.ServeHTTP(w, r)
	})
}

// envelopeBytes is the length of the prefix of a message in gRPC, gRPC-Web and Connect's streams.
const envelopeBytes = 5

// bounded reads at most left bytes, and fails with err if there are more.
type bounded struct {
	r    io.Reader
	left int
	err  func() error
}

// Read fails once the bound is exceeded.
func (b *bounded) Read(p []byte) (int, error) {
	if len(p) > b.left+1 {
		p = p[:b.left+1]
	}
	n, err := b.r.Read(p)
	if n > b.left {
		return b.left, b.err()
	}
	b.left -= n
	return n, err
}

type boundedBody struct {
	io.ReadCloser
	bounded
}

// Read is that of bounded.
func (b *boundedBody) Read(p []byte) (int, error) { return b.bounded.Read(p) }

// boundedGzip decompresses at most maxBodyBytes.
type boundedGzip struct {
	gzip.Reader
	bounded
}

// newBoundedGzip returns what WithCompression takes.
func newBoundedGzip() connect.Decompressor { return &boundedGzip{} }

func newGzip() connect.Compressor { return gzip.NewWriter(io.Discard) }

// Reset begins another message.
func (g *boundedGzip) Reset(r io.Reader) error {
	g.bounded = bounded{r: &g.Reader, left: maxBodyBytes, err: errBombed}
	return g.Reader.Reset(r)
}

// Read is that of bounded.
func (g *boundedGzip) Read(p []byte) (int, error) { return g.bounded.Read(p) }

// errBombed has no request id: a decompressor does not know its request.
func errBombed() error { return bodyTooLarge().connectError(context.Background()) }

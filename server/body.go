package server

import (
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"strconv"
	"time"

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

func bodyTooSlow() refusal {
	return refusal{
		code: connect.CodeDeadlineExceeded, reason: order.ReasonDeadlineExceeded,
		text: "the request's body did not arrive within " + bodyTimeout.String(), retry: defaultRetryDelay,
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
		body := &boundedBody{ReadCloser: r.Body, ctx: r.Context(), left: maxBodyBytes + envelopeBytes, arrived: arrivalOf(w, r)}
		if r.Body == http.NoBody {
			body.end()
		}
		r.Body = body
		next.ServeHTTP(w, r)
	})
}

// envelopeBytes is the length of the prefix of a message in gRPC, gRPC-Web and Connect's streams.
const envelopeBytes = 5

// readBounded reads into p from a reader with left bytes at most, and counts them. tooMany reports that there are more.
func readBounded(r io.Reader, p []byte, left *int) (n int, tooMany bool, err error) {
	if len(p) > *left+1 {
		p = p[:*left+1]
	}
	n, err = r.Read(p)
	if n > *left {
		return *left, true, nil
	}
	*left -= n
	return n, false, err
}

// boundedBody is a request's body of at most left bytes.
type boundedBody struct {
	io.ReadCloser

	ctx     context.Context //nolint:containedctx // That of the request, which the body belongs to.
	left    int
	arrived http.ResponseWriter // nil if nothing is to be done at the body's end
}

// arrivalOf is the writer of a request of HTTP/1.1, whose connection goes on being read after its body, with the deadline of the body: net/http
// would take the deadline for a client that left, and cancel the call.
func arrivalOf(w http.ResponseWriter, r *http.Request) http.ResponseWriter {
	if r.ProtoMajor > 1 {
		return nil
	}
	return w
}

// Read fails once the bound or the time for the body is exceeded.
func (b *boundedBody) Read(p []byte) (int, error) {
	n, tooMany, err := readBounded(b.ReadCloser, p, &b.left)
	switch {
	case tooMany:
		return n, bodyTooLarge().connectError(b.ctx)
	case err == nil:
	case errors.Is(err, io.EOF):
		b.end()
	case errors.Is(err, os.ErrDeadlineExceeded):
		return n, bodyTooSlow().connectError(b.ctx)
	}
	return n, err
}

// end gives the call the time of a response.
func (b *boundedBody) end() {
	if b.arrived != nil {
		_ = http.NewResponseController(b.arrived).SetReadDeadline(time.Now().Add(callTimeout)) // Without connection there is no deadline.
		b.arrived = nil
	}
}

// boundedGzip decompresses at most maxBodyBytes.
type boundedGzip struct {
	gzip.Reader
	left int
}

// newBoundedGzip returns what WithCompression takes.
func newBoundedGzip() connect.Decompressor { return &boundedGzip{} }

func newGzip() connect.Compressor { return gzip.NewWriter(io.Discard) }

// Reset begins another message.
func (g *boundedGzip) Reset(r io.Reader) error {
	g.left = maxBodyBytes
	return g.Reader.Reset(r)
}

// Read fails once the bound is exceeded.
func (g *boundedGzip) Read(p []byte) (int, error) {
	n, tooMany, err := readBounded(&g.Reader, p, &g.left)
	if tooMany {
		return n, errBombed()
	}
	return n, err
}

// errBombed has no request id: a decompressor does not know its request.
func errBombed() error { return bodyTooLarge().connectError(context.Background()) }

package server

import (
	"net/http"
	"strconv"
	"time"

	"github.com/spillway/spillway/gen/spillway/v1/spillwayv1connect"
)

const (
	// catalogAge is how long a browser or proxy may reuse what the catalogue returned: it has the units that are left.
	catalogAge = time.Second
	// ratesAge is the same for currencies and prices of shipping, which change once a day or with a new version.
	ratesAge = time.Minute
	// noStore keeps a response out of every cache.
	noStore = "no-store"
)

// cacheAges are the public reads whose responses caches may reuse, and how long. A response to a token is never reused: it may be personal.
var cacheAges = map[string]time.Duration{
	spillwayv1connect.CatalogServiceListProductsProcedure:   catalogAge,
	spillwayv1connect.CatalogServiceGetProductProcedure:     catalogAge,
	spillwayv1connect.CatalogServiceGetProductsProcedure:    catalogAge,
	spillwayv1connect.CatalogServiceSearchProductsProcedure: catalogAge,

	spillwayv1connect.CurrencyServiceGetSupportedCurrenciesProcedure: ratesAge,
	spillwayv1connect.CurrencyServiceConvertProcedure:                ratesAge,
	spillwayv1connect.ShippingServiceGetQuoteProcedure:               ratesAge,
}

// cacheHeaders sets Cache-Control on the responses to GET. No cache reuses the response to a POST.
func cacheHeaders(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet {
			next.ServeHTTP(w, r)
			return
		}
		control := noStore
		if age, ok := cacheAges[r.URL.Path]; ok && r.Header.Get("Authorization") == "" {
			control = "public, max-age=" + strconv.Itoa(int(age.Seconds()))
			w.Header().Add("Vary", "Accept-Encoding, Authorization")
		}
		next.ServeHTTP(&cachedWriter{ResponseWriter: w, control: control}, r)
	})
}

// cachedWriter sets Cache-Control with the status: errors are not to be reused, and some of them would be without the header.
type cachedWriter struct {
	http.ResponseWriter

	control string
	set     bool
}

// WriteHeader sets the header.
func (w *cachedWriter) WriteHeader(status int) {
	if !w.set {
		w.set = true
		if status != http.StatusOK {
			w.control = noStore
		}
		w.Header().Set("Cache-Control", w.control)
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write sets the header of a response with status 200.
func (w *cachedWriter) Write(b []byte) (int, error) {
	if !w.set {
		w.WriteHeader(http.StatusOK)
	}
	return w.ResponseWriter.Write(b)
}

// Unwrap returns the writer for http.ResponseController.
func (w *cachedWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

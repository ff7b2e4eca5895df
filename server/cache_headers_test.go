package server

import (
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/spillway/spillway/gen/spillway/v1/spillwayv1connect"
	"github.com/spillway/spillway/store"
)

// get calls a procedure by GET.
func (e *edgeFixture) get(t *testing.T, procedure, token, message string) (int, http.Header, string) {
	t.Helper()
	query := url.Values{"connect": {"v1"}, "encoding": {"json"}, "message": {message}}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, e.url+procedure+"?"+query.Encode(), http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := e.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, resp.Header, string(body)
}

func TestGet_CacheHeaders(t *testing.T) {
	s := &fakeCatalog{products: []store.Product{{SKU: "A"}}}
	services := allServices(t)
	services.Catalog = Catalog{Products: s, Cache: s, Available: s}
	e := startServer(t, services)
	guest := e.token(t, "g")
	const catalogue, currencies = "public, max-age=1", "public, max-age=60"
	for name, c := range map[string]struct {
		procedure, token, message string
		status                    int
		want                      string
	}{
		"a product":                 {spillwayv1connect.CatalogServiceGetProductProcedure, "", `{"sku":"A"}`, 200, catalogue},
		"products":                  {spillwayv1connect.CatalogServiceListProductsProcedure, "", `{}`, 200, catalogue},
		"a search":                  {spillwayv1connect.CatalogServiceSearchProductsProcedure, "", `{"query":"a"}`, 200, catalogue},
		"currencies":                {spillwayv1connect.CurrencyServiceGetSupportedCurrenciesProcedure, "", `{}`, 200, currencies},
		"products, with a token":    {spillwayv1connect.CatalogServiceListProductsProcedure, guest, `{}`, 200, noStore},
		"no such product":           {spillwayv1connect.CatalogServiceGetProductProcedure, "", `{"sku":"NOPE"}`, 404, noStore},
		"an invalid request":        {spillwayv1connect.CatalogServiceGetProductProcedure, "", `{}`, 400, noStore},
		"a cart without a token":    {spillwayv1connect.CartServiceGetCartProcedure, "", `{}`, 401, noStore},
		"a change by GET":           {spillwayv1connect.CartServiceAddItemProcedure, guest, `{"sku":"A","quantity":1}`, 405, noStore},
		"a message that is no JSON": {spillwayv1connect.CatalogServiceGetProductProcedure, "", `{`, 400, noStore},
	} {
		status, h, body := e.get(t, c.procedure, c.token, c.message)
		if status != c.status || h.Get("Cache-Control") != c.want {
			t.Errorf("%s: %d with Cache-Control %q: %s; want %d, %q", name, status, h.Get("Cache-Control"), body, c.status, c.want)
		}
		if vary := strings.Join(h.Values("Vary"), ","); strings.HasPrefix(c.want, "public") && !strings.Contains(vary, "Authorization") {
			t.Errorf("%s: Vary is %q", name, vary)
		}
	}
	if _, h, _ := e.post(t, spillwayv1connect.CatalogServiceListProductsProcedure, "", "{}"); h.Get("Cache-Control") != "" {
		t.Errorf("a POST has Cache-Control %q", h.Get("Cache-Control"))
	}
}

// TestReads_AreMarked: a call that only reads is marked so, which is what makes Connect serve it by GET and clients repeat it; one that changes
// something is not.
func TestReads_AreMarked(t *testing.T) {
	reads := []string{"Get", "List", "Search", "Watch", "Quote", "Convert", "RunAudit", "Summarize"}
	protoregistry.GlobalFiles.RangeFilesByPackage("spillway.v1", func(f protoreflect.FileDescriptor) bool {
		for i := range f.Services().Len() {
			methods := f.Services().Get(i).Methods()
			for j := range methods.Len() {
				m := methods.Get(j)
				options, _ := m.Options().(*descriptorpb.MethodOptions)
				marked := options.GetIdempotencyLevel() == descriptorpb.MethodOptions_NO_SIDE_EFFECTS
				isRead := false
				for _, verb := range reads {
					isRead = isRead || strings.HasPrefix(string(m.Name()), verb)
				}
				if marked != isRead {
					t.Errorf("%s is marked free of side effects: %v; by its name it is %v", m.FullName(), marked, isRead)
				}
			}
		}
		return true
	})
}

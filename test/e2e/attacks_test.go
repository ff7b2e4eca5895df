package e2e

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

const (
	// floodAddress is where the attacks come from: another address than the buyer's.
	floodAddress = "127.0.0.2"
	// attackTimeout bounds one attack.
	attackTimeout = 60 * time.Second
	// ordersInAttack is how many orders the buyer places during an attack.
	ordersInAttack = 10
	// buyTimeout bounds the time for these, on a machine that carries the attack and other work: less than that of the attack.
	buyTimeout = 50 * time.Second
	// leftMB is what an attack may leave behind, in MB: it is what a busy shop uses more or less.
	leftMB    = 30
	placePath = "/spillway.v1.CheckoutService/PlaceOrder"
)

// TestAttacks_BoundedAndBuyersAreServed attacks a shop with its default limits from one address, without a token. What each attack takes of the shop's
// memory is bounded, and a buyer at another address is served meanwhile.
func TestAttacks_BoundedAndBuyersAreServed(t *testing.T) {
	s := embedded(t, ordinary...)
	b := newBuyer(s)
	b.buy(t, 50) // What a shop in use has in memory.
	before := s.liveMB(t)
	for _, a := range []struct {
		name string
		// run attacks, until it is over at the latest.
		run func(t *testing.T, over context.Context, s *shop)
		// mostMB is what the shop may use meanwhile beside what it used before, in MB. The half-sent requests use 84 and 171, and without bounds of their
		// number and of their bodies 170 and 500; the others leave nothing behind.
		mostMB int
	}{
		{"half-sent requests", halfSentRequests, 130},
		{"half-sent streams", halfSentStreams, 350},
		{"bodies of 50 MB", largeBodies, 60},
		{"bombs of compression", gzipBombs, 60},
		{"streams that are reset", resetStreams, 60},
		{"pings", pings, 60},
	} {
		t.Run(a.name, func(t *testing.T) {
			over, bought := context.WithCancel(context.Background())
			var attack sync.WaitGroup
			attack.Go(func() { a.run(t, over, s) })
			defer func() {
				bought()
				attack.Wait()
				s.eventually(startTimeout, "the memory of the attack to be free again", func() bool { return s.liveMB(t) < before+leftMB })
			}()
			b.buy(t, ordersInAttack)
			if n := s.liveMB(t) - before; n > a.mostMB {
				t.Errorf("the shop has %d MB more in use, want %d at most", n, a.mostMB)
			}
		})
	}
}

// buyer is a customer at 127.0.0.1.
type buyer struct {
	s                    *shop
	operator, token, sku string
	orders               int
}

func newBuyer(s *shop) *buyer {
	s.t.Helper()
	b := &buyer{s: s, operator: s.operator(), sku: s.product(10_000)}
	b.token = s.must("SessionService/StartGuestSession", b.operator, "{}").Token
	s.must("CatalogService/UpdateProduct", b.operator, fmt.Sprintf(`{"product":{"sku":%q,"maxPerCustomer":1000},"updateMask":"maxPerCustomer"}`, b.sku))
	return b
}

// buy places so many orders. Each must be paid, and ordersInAttack of them within buyTimeout.
func (b *buyer) buy(t *testing.T, n int) {
	t.Helper()
	began, limit := time.Now(), buyTimeout*time.Duration(n)/ordersInAttack
	for range n {
		b.orders++
		for ; ; <-time.After(retryEvery) {
			r, err := b.s.call("CheckoutService/PlaceOrder", b.token, orderBody(b.sku, 1, goodCard), "Idempotency-Key", strconv.Itoa(b.orders))
			// A busy machine may let a call be unavailable, or a charge be without an outcome yet. A client sends it again.
			if err != nil || r.Status != http.StatusOK && r.Code != "unavailable" || time.Since(began) > limit {
				t.Fatalf("a buyer's order after %s: %s (%v)", time.Since(began), r.Raw, err)
			}
			if r.isPaid() {
				break
			}
		}
	}
	t.Logf("the buyer placed %d orders in %s", n, time.Since(began).Round(time.Millisecond))
}

// liveMB returns the memory that the shop uses after a collection of garbage, in MB.
func (s *shop) liveMB(t *testing.T) int {
	t.Helper()
	resp, err := client.Get(s.admin + "/debug/pprof/heap?debug=1&gc=1")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	used := 0
	for _, of := range []string{"# HeapAlloc = ", "# Stack = "} {
		_, rest, _ := strings.Cut(string(text), of)
		n, err := strconv.Atoi(strings.Fields(rest + " none")[0])
		if err != nil {
			t.Fatalf("%s is missing: %v", of, err)
		}
		used += n
	}
	return used >> 20
}

// flood opens so many connections, sends what each gets, and closes them after the hold, or when the attack is over. What the shop sends is read and
// dropped if read is set.
func flood(t *testing.T, over context.Context, s *shop, connections int, send []byte, hold time.Duration, read bool) {
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(floodAddress)}}
	over, cancel := context.WithTimeout(over, attackTimeout)
	defer cancel()
	var open sync.WaitGroup
	for range connections {
		c, err := d.DialContext(over, "tcp", strings.TrimPrefix(s.url, "http://"))
		if err != nil {
			break // The attack is over.
		}
		closed := context.AfterFunc(over, func() { _ = c.Close() })
		if read {
			go func() { _, _ = io.Copy(io.Discard, c) }()
		}
		open.Go(func() {
			defer closed()
			if _, err := c.Write(send); err == nil { // The shop may have closed the connection.
				select {
				case <-over.Done():
				case <-time.After(hold):
				}
			}
			_ = c.Close()
		})
	}
	open.Wait()
}

// hold is how long half-sent requests are held: as long as the shop waits for a body.
const hold = 10 * time.Second

// halfSentRequests holds requests of which the last byte is missing.
func halfSentRequests(t *testing.T, over context.Context, s *shop) {
	const bytesSent = 60 << 10
	flood(t, over, s, 2000, append(head(bytesSent+1), bytes.Repeat([]byte(" "), bytesSent)...), hold, true)
}

// head is the head of a request of HTTP/1.1 with a body of so many bytes.
func head(bodyBytes int, more ...string) []byte {
	fields := []string{"POST " + placePath + " HTTP/1.1", "Host: shop", "Content-Type: application/json", fmt.Sprint("Content-Length: ", bodyBytes)}
	fields = append(fields, more...)
	return []byte(strings.Join(fields, "\r\n") + "\r\n\r\n")
}

// frames are the beginning of a connection of HTTP/2, and what add adds for each stream.
func frames(t *testing.T, streams int, add func(f *http2.Framer, id uint32) error) []byte {
	t.Helper()
	out := bytes.NewBufferString(http2.ClientPreface)
	f := http2.NewFramer(out, nil)
	err := f.WriteSettings()
	for i := range uint32(streams) {
		var fields bytes.Buffer
		e := hpack.NewEncoder(&fields)
		for _, field := range [][2]string{
			{":method", "POST"}, {":scheme", "http"}, {":authority", "shop"}, {":path", placePath}, {"content-type", "application/json"},
		} {
			err = errors.Join(err, e.WriteField(hpack.HeaderField{Name: field[0], Value: field[1]}))
		}
		err = errors.Join(err,
			f.WriteHeaders(http2.HeadersFrameParam{StreamID: 2*i + 1, BlockFragment: fields.Bytes(), EndHeaders: true}), add(f, 2*i+1))
	}
	if err != nil {
		t.Error(err)
	}
	return out.Bytes()
}

// halfSentStreams holds 30,000 requests on 120 connections of HTTP/2.
func halfSentStreams(t *testing.T, over context.Context, s *shop) {
	half := frames(t, 250, func(f *http2.Framer, id uint32) error { return f.WriteData(id, false, []byte("{")) })
	flood(t, over, s, 120, half, hold, true)
}

// resetStreams begins requests and resets them at once (CVE-2023-44487).
func resetStreams(t *testing.T, over context.Context, s *shop) {
	reset := frames(t, 1000, func(f *http2.Framer, id uint32) error { return f.WriteRSTStream(id, http2.ErrCodeCancel) })
	flood(t, over, s, 4, reset, 0, true)
}

// pings sends pings and reads none of the responses (CVE-2019-9512).
func pings(t *testing.T, over context.Context, s *shop) {
	out := bytes.NewBuffer(frames(t, 0, nil))
	f := http2.NewFramer(out, nil)
	for range 200_000 {
		if err := f.WritePing(false, [8]byte{}); err != nil {
			t.Error(err)
		}
	}
	flood(t, over, s, 4, out.Bytes(), 0, false)
}

// largeBodies sends bodies of 50 MB.
func largeBodies(t *testing.T, over context.Context, s *shop) {
	const sent = 50 << 20
	flood(t, over, s, 20, append(head(sent), make([]byte, sent)...), 0, true)
}

// gzipBombs sends bodies of 50 kB that become 50 MB.
func gzipBombs(t *testing.T, over context.Context, s *shop) {
	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	if _, err := z.Write(make([]byte, 50<<20)); err != nil || z.Close() != nil {
		t.Error("gzip:", err)
	}
	flood(t, over, s, 50, append(head(bomb.Len(), "Content-Encoding: gzip"), bomb.Bytes()...), 0, true)
}

package server

import (
	"container/list"
	"context"
	"net/netip"
	"sync"
	"time"

	"github.com/spillway/spillway/order"
)

const (
	// maxCustomerCharges bounds the charges of one customer that are under way: one, and a retry of it.
	maxCustomerCharges = 2
	// slowCharge is the age of a slow charge. A quick provider takes 20 ms, and a commit of the ledger a few more.
	slowCharge = 500 * time.Millisecond
	// slowShare is the part of all slots that charges of one client address may hold while they are slow.
	slowShare = 4
	// slowMemory is how long an address is held to its share after its slow charges reached it: without it, a client could fill all slots
	// again and again, because charges are not slow at first.
	slowMemory = 10 * time.Second
	// chargeRetryDelay is when to try again after a refusal: by then each charge that was under way has ended.
	chargeRetryDelay = 3 * time.Second
)

// ChargeSlots bound the charges that one process has under way: all of them, those of one customer, and the slow ones of one client address.
// So slow cards leave the rest of the process alone, and one client leaves slots to the others. A nil *ChargeSlots has no bound.
type ChargeSlots struct {
	all    *Limiter
	share  int
	now    func() time.Time
	orders orderCalls

	mu        sync.Mutex
	customers map[order.CustomerID]int
	// running are the times at which the charges of each address began, the oldest first.
	running map[netip.Addr]*list.List
	// slow is until when an address is held to its share.
	slow map[netip.Addr]time.Time
}

// NewChargeSlots makes the slots of a process that may have so many charges under way.
func NewChargeSlots(atOnce int) *ChargeSlots {
	return &ChargeSlots{
		all: NewLimiter("charges", atOnce), share: max(1, atOnce/slowShare), now: time.Now,
		customers: make(map[order.CustomerID]int), running: make(map[netip.Addr]*list.List), slow: make(map[netip.Addr]time.Time),
	}
}

// admit lets an order of the customer be charged, before anything is reserved for it. It returns order.ErrOverloaded if a bound is reached.
// The ticket must be released.
func (s *ChargeSlots) admit(ctx context.Context, customer order.CustomerID) (*chargeTicket, error) {
	t := &chargeTicket{slots: s, customer: customer, addr: addressFrom(ctx)}
	if s == nil {
		return t, nil
	}
	if err := s.all.Check(); err != nil {
		return nil, err
	}
	if err := t.enter(); err != nil {
		return nil, err
	}
	return t, nil
}

// chargeTicket is an order that may be charged. It belongs to one goroutine.
type chargeTicket struct {
	slots    *ChargeSlots
	customer order.CustomerID
	addr     netip.Addr
	entered  bool
	began    *list.Element // of the charge that is under way
	charged  order.ID      // by it
}

// enter counts the order among those of its customer.
func (t *chargeTicket) enter() error {
	s := t.slots
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.customers[t.customer] >= maxCustomerCharges {
		return &order.LimitError{Limit: order.LimitCustomerCharges, Maximum: maxCustomerCharges, After: chargeRetryDelay}
	}
	if err := s.checkAddress(t.addr); err != nil {
		return err
	}
	s.customers[t.customer]++
	t.entered = true
	return nil
}

// start takes a slot for a charge of the order, until release. It reports whether the charge joins another one of the order, for which it will
// wait.
func (t *chargeTicket) start(id order.ID) (joins bool, err error) {
	s := t.slots
	if s == nil {
		return false, nil
	}
	if !t.entered { // It was charged before, as another order of the same request.
		if err := t.enter(); err != nil {
			return false, err
		}
	}
	if _, err := s.all.Acquire(); err != nil {
		return false, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.checkAddress(t.addr); err != nil {
		s.all.release()
		return false, err
	}
	if s.running[t.addr] == nil {
		s.running[t.addr] = list.New()
	}
	t.began, t.charged = s.running[t.addr].PushBack(s.now()), id
	return s.orders.enter(id), nil
}

// release gives back what the ticket holds. It may be called again.
func (t *chargeTicket) release() {
	s := t.slots
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if t.entered {
		t.entered = false
		decrement(s.customers, t.customer)
	}
	if t.began != nil {
		s.noteSlow(t.addr)
		s.running[t.addr].Remove(t.began)
		if s.running[t.addr].Len() == 0 {
			delete(s.running, t.addr)
		}
		t.began = nil
		s.orders.leave(t.charged)
		s.all.release()
	}
}

// checkAddress refuses a charge of an address that is slow and has its share. An address that is not known has no bound.
func (s *ChargeSlots) checkAddress(addr netip.Addr) error {
	if !addr.IsValid() {
		return nil
	}
	s.noteSlow(addr)
	running, now := s.running[addr], s.now()
	if running == nil || running.Len() < s.share || !now.Before(s.slow[addr]) {
		return nil
	}
	return &order.LimitError{Limit: order.LimitAddressCharges, Maximum: int64(s.share), After: chargeRetryDelay}
}

// noteSlow records an address that has as many slow charges as its share. It looks at slow charges only, of which the oldest come first.
func (s *ChargeSlots) noteSlow(addr netip.Addr) {
	running, now := s.running[addr], s.now()
	if running == nil || running.Len() < s.share {
		return
	}
	e := running.Front()
	for n := 1; e != nil && now.Sub(e.Value.(time.Time)) >= slowCharge; n, e = n+1, e.Next() { //nolint:forcetypeassert,errcheck // start pushed it.
		if n == s.share {
			s.forgetQuick(now)
			s.slow[addr] = now.Add(slowMemory)
			return
		}
	}
}

// forgetQuick forgets the addresses that are not held to their share any more.
func (s *ChargeSlots) forgetQuick(now time.Time) {
	for addr, until := range s.slow {
		if !now.Before(until) {
			delete(s.slow, addr)
		}
	}
}

package shop

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tallystick/tallystick/domain"
	"github.com/tallystick/tallystick/sandbox/ghl"
	"github.com/tallystick/tallystick/sandbox/sage"
)

// Options say how much is bought, and how fast.
type Options struct {
	Seed   int64
	Orders int
	// Sent is how many of the orders, the first ones, have their goods sent; all that are to be sent where it is zero.
	Sent int
	// PerSecond is how many orders are placed in a second; as fast as possible where it is zero.
	PerSecond float64
	// Observe is told of each action once it is done. It may be nil.
	Observe func(Action)
}

// Entry is what the shop knows of an order.
type Entry struct {
	OrderID string
	// Total is what the customer is to pay; Paid and Refunded what really moved.
	Total, Paid, Refunded domain.Money
	// Test orders never belong into the books.
	Test bool
}

// Due tells whether the order must be in Sage: money has come, and it isn't a test.
func (e Entry) Due() bool { return !e.Test && e.Paid.Minor > 0 }

// Shop is one shop on a HighLevel server. Run it once.
type Shop struct {
	opts Options
	data Data
	ghl  *ghl.Server

	mu       sync.Mutex
	book     map[string]Entry
	waybills Waybills
}

// New makes a shop on the server's first location. It sends nothing until Dispatch runs.
func New(server *ghl.Server, opts Options) *Shop {
	s := &Shop{opts: opts, data: Generate(opts.Seed, opts.Orders), ghl: server, book: map[string]Entry{}}
	for i, fate := range s.data.Fates {
		s.waybills.Open(fate.OrderID)
		if opts.Sent > 0 && i >= opts.Sent {
			s.data.Fates[i].Acts = nil
		}
	}
	return s
}

// Run lets everything happen, at the given pace, and returns when it has, or with the context's error.
func (s *Shop) Run(ctx context.Context) error {
	for _, c := range s.data.Customers {
		s.ghl.AddContact(c)
	}
	for _, p := range s.data.Products {
		s.ghl.AddProduct(p)
	}
	for _, p := range s.data.Prices {
		s.ghl.AddPrice(p)
	}
	began := time.Now()
	for _, a := range s.data.Actions {
		if err := s.await(ctx, began, a); err != nil {
			return err
		}
		if err := s.do(a); err != nil {
			return fmt.Errorf("shop: order %s %s: %w", a.OrderID, a.Kind, err)
		}
		if s.opts.Observe != nil {
			s.opts.Observe(a)
		}
	}
	return nil
}

// await returns when the action's time has come.
func (s *Shop) await(ctx context.Context, began time.Time, a Action) error {
	if s.opts.PerSecond <= 0 {
		return ctx.Err()
	}
	due := began.Add(time.Duration(float64(a.at) / 10 / s.opts.PerSecond * float64(time.Second)))
	timer := time.NewTimer(time.Until(due))
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// do carries an action out and enters it into the book.
func (s *Shop) do(a Action) error {
	entry := s.entry(a.OrderID)
	var err error
	switch a.Kind {
	case Place:
		var o ghl.Order
		if o, err = s.ghl.PlaceOrder(a.Order); err == nil {
			none := domain.NewMoney(0, o.Currency)
			entry = Entry{OrderID: o.ID, Total: o.Amount, Paid: none, Refunded: none,
				Test: a.Order.TestMode || a.Order.MarkAsTest}
		}
	case Pay:
		if _, err = s.ghl.TakePayment(a.OrderID, ghl.NewPayment{ID: a.PaymentID, Amount: a.Amount}); err == nil {
			entry.Paid, err = entry.Paid.Add(a.Amount)
		}
	case Try:
		_, err = s.ghl.TakePayment(a.OrderID, ghl.NewPayment{ID: a.PaymentID, Amount: a.Amount, Status: "failed"})
	case Begin:
		_, err = s.ghl.TakePayment(a.OrderID, ghl.NewPayment{ID: a.PaymentID, Amount: a.Amount, Status: "pending"})
	case Settle:
		if err = s.ghl.SettlePayment(a.PaymentID, "succeeded"); err == nil {
			entry.Paid, err = entry.Paid.Add(a.Amount)
		}
	case Refund:
		if err = s.ghl.Refund(a.PaymentID, a.Amount); err == nil {
			entry.Refunded, err = entry.Refunded.Add(a.Amount)
		}
	}
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.book[a.OrderID] = entry
	return nil
}

func (s *Shop) entry(orderID string) Entry {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.book[orderID]
}

// Book is what the shop knows of each order so far, by order id.
func (s *Shop) Book() []Entry {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.SortedFunc(maps.Values(s.book), func(a, b Entry) int { return strings.Compare(a.OrderID, b.OrderID) })
}

// Due tells how many orders must be in Sage by now.
func (s *Shop) Due() int {
	n := 0
	for _, e := range s.Book() {
		if e.Due() {
			n++
		}
	}
	return n
}

// Waybills say what has been done with the goods so far, for each order of the shop.
func (s *Shop) Waybills() *Waybills { return &s.waybills }

// Agree compares Sage with HighLevel, as the function Agree does, and both with the shop's own book and waybills.
func (s *Shop) Agree(tenant *sage.Server, opts ...AgreeOption) Report {
	report := Agree(s.ghl, tenant, append([]AgreeOption{WithWaybills(&s.waybills)}, opts...)...)
	c := comparison{report: &report}
	for _, e := range s.Book() {
		o, found := s.ghl.Order(e.OrderID)
		paid, refunded := cleared(o, s.ghl.Payments(e.OrderID))
		if !found || o.Amount != e.Total || paid != e.Paid || refunded != e.Refunded {
			c.differ(e.OrderID, "the shop charged %s, got %s and gave back %s; HighLevel says %s, %s and %s",
				e.Total, e.Paid, e.Refunded, o.Amount, paid, refunded)
		}
	}
	return report
}

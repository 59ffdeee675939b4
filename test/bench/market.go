package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tallystick/tallystick/domain"
	"github.com/tallystick/tallystick/sandbox/ghl"
	"github.com/tallystick/tallystick/sandbox/sage"
	"github.com/tallystick/tallystick/sandbox/shop"
	"github.com/tallystick/tallystick/sandbox/stack"
	"github.com/tallystick/tallystick/workflows"
)

// event is the webhook by which HighLevel tells of a paid order.
const event = "OrderStatusUpdate"

// market is the product at work, with a location whose orders are made and followed from here.
type market struct {
	stack    *stack.Stack
	location ghl.Location
	client   *http.Client
	done     arrivals

	prices    []string
	customers []string // known to Sage once the market is open
	serial    atomic.Int64
}

// marketOptions are what differs from market to market.
type marketOptions struct {
	stack     stack.Options
	customers int
}

func newMarket() *market {
	m := &market{client: &http.Client{
		Timeout: 30 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 256},
	}}
	m.done.open()
	return m
}

// openMarket starts the stack and has every customer buy once, so that customers and products are known.
func openMarket(ctx context.Context, o marketOptions) (*market, error) {
	m := newMarket()
	o.stack.Sage.OnWrite = m.written
	// No sweep may come between: it would take its share of the vendors' quotas and of the machine.
	if o.stack.Env == nil {
		o.stack.Env = map[string]string{}
	}
	o.stack.Env["SYNC_INTERVAL"], o.stack.Env["FULFILLMENT_SYNC_INTERVAL"], o.stack.Env["LOG_LEVEL"] = "24h", "24h", "warn"
	if _, set := o.stack.Env["RECONCILE"]; !set {
		o.stack.Env["RECONCILE"] = "false" // what it costs is measured by itself
	}
	var err error
	if m.stack, err = stack.Start(ctx, o.stack); err != nil {
		return nil, err
	}
	m.location = m.stack.GHL.In(m.stack.Location())
	m.stack.GHL.SetWebhookURL("") // webhooks are sent from here, and timed
	m.stock()
	for range o.customers {
		m.customers = append(m.customers, m.newCustomer())
	}
	// One buys everything first: the products are then made once, and not by several orders at the same time.
	if err := m.introduce(ctx, m.customers[:1], len(m.prices)); err != nil {
		return m, err
	}
	return m, m.introduce(ctx, m.customers[1:], linesPerOrder)
}

// linesPerOrder is how many products an order has.
const linesPerOrder = 2

func (m *market) stock() {
	for i := range 6 {
		product := m.location.AddProduct(ghl.Product{Name: fmt.Sprintf("Product %d", i)})
		m.prices = append(m.prices, m.stack.GHL.AddPrice(ghl.Price{
			ProductID: product, Name: "Standard", SKU: fmt.Sprintf("SKU-%d", i), Amount: domain.NewMoney(1999+int64(i)*250, "EUR"),
		}))
	}
}

func (m *market) newCustomer() string {
	n := m.serial.Add(1)
	return m.location.AddContact(ghl.Contact{
		FirstName: "Ada", LastName: "Lovelace", Email: fmt.Sprintf("buyer%d@example.com", n),
		Phone: fmt.Sprintf("+1555%07d", n), Address1: "12 Ledger Lane", City: "Ledgerham", PostalCode: "10115", Country: "DE",
	})
}

// introduce has customers buy for the first time, a few at once.
func (m *market) introduce(ctx context.Context, customers []string, lines int) error {
	faults := make(chan error, len(customers))
	slots := make(chan struct{}, 4)
	for _, customer := range customers {
		go func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			_, err := m.sale(customer, lines).follow(ctx)
			faults <- err
		}()
	}
	for range customers {
		if err := <-faults; err != nil {
			return fmt.Errorf("a first purchase: %w", err)
		}
	}
	return nil
}

// known is a payment of a customer that Sage has, for products that it has.
func (m *market) known() job {
	return m.sale(m.customers[int(m.serial.Add(1))%len(m.customers)], linesPerOrder)
}

// newcomer is a payment of a customer that nobody knows yet.
func (m *market) newcomer() job { return m.sale(m.newCustomer(), linesPerOrder) }

// sale places and pays an order at HighLevel, and gives what is left to do: to send its webhook and to wait for Sage.
func (m *market) sale(customer string, lines int) job {
	n := int(m.serial.Add(1))
	order := ghl.NewOrder{ContactID: customer, Currency: "EUR"}
	for i := range lines {
		order.Lines = append(order.Lines, ghl.NewLine{PriceID: m.prices[(n+i)%len(m.prices)], Qty: int64(1 + n%3)})
	}
	placed, err := m.location.PlaceOrder(order)
	if err == nil {
		_, err = m.stack.GHL.TakePayment(placed.ID, ghl.NewPayment{})
	}
	var body []byte
	if err == nil {
		body, err = m.stack.GHL.WebhookBody(event, placed.ID)
	}
	if err != nil {
		return job{fault: err}
	}
	return job{
		id:   workflows.PaymentToOrderID(m.location.ID(), placed.ID),
		life: workflows.FulfillmentID(m.location.ID(), placed.ID),
		done: m.done.expect(domain.OrderExtID(placed.ID)),
		send: func(ctx context.Context) error { return m.post(ctx, body) },
	}
}

// post sends a webhook, signed, to the front door.
func (m *market) post(ctx context.Context, body []byte) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, m.stack.FrontDoor+"/webhooks/ghl/"+event, bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("X-Ghl-Signature", m.stack.GHL.Sign(body))
	response, err := m.client.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	answer, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("the front door answered %s: %s", response.Status, answer)
	}
	return err
}

// written notes the write that completes an order: its final status, which comes after header and lines.
func (m *market) written(w sage.Write) {
	if w.Op == "sage.salesorders.update" && slices.Contains(w.Fields, "statusId") && strings.HasPrefix(w.ExtID, domain.OrderExtIDPrefix) {
		m.done.arrived(w.ExtID)
	}
}

// agrees checks that all that was sold is in Sage to the cent: figures of wrong books would be worth nothing.
func (m *market) agrees() error {
	if report := shop.Agree(m.stack.GHL, m.stack.Sage); !report.OK() {
		return fmt.Errorf("the books do not agree: %s", report)
	}
	return nil
}

// processes are those whose work is counted, by the names of the report.
func (m *market) processes(server int) map[part][]int {
	pids := map[part][]int{partStarter: {m.stack.Starter.PID()}, partServer: {server}}
	for _, w := range m.stack.Workers {
		pids[partWorker] = append(pids[partWorker], w.PID())
	}
	return pids
}

// arrivals lets somebody wait for what somebody else reports.
type arrivals struct {
	mu      sync.Mutex
	waiting map[string]chan time.Time
}

func (a *arrivals) open() { a.waiting = map[string]chan time.Time{} }

// expect gives the channel on which the moment of arrival will be.
func (a *arrivals) expect(key string) <-chan time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	done := make(chan time.Time, 1)
	a.waiting[key] = done
	return done
}

// arrived reports an arrival. Only the first one counts.
func (a *arrivals) arrived(key string) {
	now := time.Now()
	a.mu.Lock()
	defer a.mu.Unlock()
	if done := a.waiting[key]; done != nil {
		done <- now
		delete(a.waiting, key)
	}
}

package activities

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/tallystick/tallystick/clients/ghl"
	"github.com/tallystick/tallystick/domain"
	"github.com/tallystick/tallystick/internal/store"
)

// GHL are the steps that read from HighLevel.
type GHL struct {
	// Client gives the client of a location.
	Client func(ctx context.Context, location string) (*ghl.Client, error)
	Store  *store.Store
	Look   Looker
	// OnlyTest tells whether orders of HighLevel's test mode are brought for a location and nothing else, for a rehearsal
	// with a tenant of its own. Test data and live data never meet. Nil never brings them.
	OnlyTest func(ctx context.Context, location string) (bool, error)
	// Fulfillment says how lifecycles are followed; nil follows none.
	Fulfillment Fulfiller

	kinds productKinds
}

// reach gives the client of a location, and whether it is its test orders that count.
func (g *GHL) reach(ctx context.Context, location string) (client *ghl.Client, onlyTest bool, err error) {
	if client, err = g.Client(ctx, location); err != nil || g.OnlyTest == nil {
		return client, false, err
	}
	onlyTest, err = g.OnlyTest(ctx, location)
	return client, onlyTest, err
}

// ReadOrderInput names an order.
type ReadOrderInput struct {
	Location string `json:"location"`
	OrderID  string `json:"orderId"`
}

// OrderReading is an order as read, with what is known about it here.
type OrderReading struct {
	Sale domain.Sale `json:"sale"`
	// Customer is the customer at Sage, nil while unknown.
	Customer *CustomerRef `json:"customer,omitempty"`
	// KeptOut is why the order goes no further: OtherMode or NotDue; empty if it does.
	KeptOut Outcome `json:"keptOut,omitempty"`
	// Sightings are the states of order and transactions that were read.
	Sightings []store.Sighting `json:"sightings,omitempty"`
}

// ReadOrder reads an order with its transactions: two calls, one more while the customer is unknown, two more for an order
// that came from an invoice, and one for each product that was not seen lately where digital orders are delivered on
// payment. An order without cleared money that the books do not have goes no further.
func (g *GHL) ReadOrder(ctx context.Context, in ReadOrderInput) (OrderReading, error) {
	ctx, stop := alive(ctx)
	defer stop()
	reading, err := g.readOrder(ctx, in)
	return reading, asTemporal(err, attempt(ctx), 0)
}

func (g *GHL) readOrder(ctx context.Context, in ReadOrderInput) (OrderReading, error) {
	var reading OrderReading
	client, onlyTest, err := g.reach(ctx, in.Location)
	if err != nil {
		return reading, err
	}
	doing(ctx, "reading the order")
	order, err := client.Orders.Get(ctx, in.OrderID)
	if err != nil {
		return reading, notFoundYet(err, "HighLevel has no order of this id")
	}
	if order.Test != onlyTest {
		reading.KeptOut = OtherMode
		return reading, nil
	}
	transactions, err := transactionsOf(ctx, client, order)
	if err != nil {
		return reading, err
	}
	if reading.Sale, err = saleOf(in.Location, order, transactions); err != nil {
		return reading, err
	}
	reading.Sightings = sightings(in.Location, order, transactions)
	return g.complete(ctx, client, reading)
}

// complete adds what the store knows, and reads what is still needed of HighLevel.
func (g *GHL) complete(ctx context.Context, client *ghl.Client, reading OrderReading) (OrderReading, error) {
	sale := &reading.Sale
	settlement, err := sale.Settlement()
	if err != nil {
		return reading, err
	}
	if !settlement.Cleared() {
		_, inBooks, err := g.Store.Order(ctx, sale.Location, sale.OrderID)
		if err != nil {
			return reading, err
		}
		if !inBooks {
			reading.KeptOut = NotDue
			return reading, g.Store.RecordSightings(ctx, reading.Sightings)
		}
	}
	if err := g.addInvoiceNumber(ctx, client, sale); err != nil {
		return reading, err
	}
	settings, err := g.Fulfillment.of(ctx, sale.Location)
	if err != nil {
		return reading, err
	}
	if err := g.kinds.resolve(ctx, client, sale.Location, settings, sale.Goods); err != nil {
		return reading, err
	}
	if reading.Customer, err = knownCustomer(ctx, g.Store, sale.Location, sale.CustomerExtID()); err != nil {
		return reading, err
	}
	if reading.Customer == nil {
		return reading, g.addContact(ctx, client, sale)
	}
	return reading, nil // with the buyer's snapshot: the customer that is known may turn out to be gone at Sage
}

// transactionsOf reads the payments of an order. HighLevel files those of an invoice's order under either of the two
// (A07).
func transactionsOf(ctx context.Context, client *ghl.Client, order ghl.Order) ([]ghl.Transaction, error) {
	transactions, err := transactionsFiledUnder(ctx, client, order.ID, order.Test)
	if err != nil || len(transactions) > 0 || !strings.EqualFold(order.Source.Type, "invoice") || order.Source.ID == "" {
		return transactions, err
	}
	return transactionsFiledUnder(ctx, client, order.Source.ID, order.Test)
}

func transactionsFiledUnder(ctx context.Context, client *ghl.Client, entity string, test bool) ([]ghl.Transaction, error) {
	doing(ctx, "reading transactions")
	var transactions []ghl.Transaction
	for t, err := range client.Transactions.All(ctx, ghl.TransactionFilter{EntityID: entity}) {
		var unreadable *ghl.RowError
		if errors.As(err, &unreadable) {
			return nil, fmt.Errorf("%w: payment %s: %s", domain.ErrMoney, unreadable.ID, unreadable.Reason)
		}
		if err != nil {
			return nil, err
		}
		if t.EntityID != "" && t.EntityID != entity {
			continue // a filter that was not understood must not give us another order's money (A06)
		}
		if t.Test == test {
			transactions = append(transactions, t)
		}
	}
	return transactions, nil
}

// addInvoiceNumber learns the number under which people know an invoice's order.
func (g *GHL) addInvoiceNumber(ctx context.Context, client *ghl.Client, sale *domain.Sale) error {
	if sale.InvoiceID == "" {
		return nil
	}
	doing(ctx, "reading the invoice")
	invoice, err := client.Invoices.Get(ctx, sale.InvoiceID)
	if ghl.IsNotFound(err) {
		return nil // a deleted invoice takes nothing from the order
	}
	if err != nil {
		return err
	}
	sale.InvoiceNumber = invoice.Number
	return nil
}

// addContact completes the sale's snapshot of the buyer from the contact as it is now, if there still is one (A26).
func (g *GHL) addContact(ctx context.Context, client *ghl.Client, sale *domain.Sale) error {
	if sale.Customer.ContactID == "" {
		return nil
	}
	doing(ctx, "reading the contact")
	contact, err := client.Contacts.Get(ctx, sale.Customer.ContactID)
	if ghl.IsNotFound(err) {
		return nil // merged or deleted: the snapshot must do
	}
	if err != nil {
		return err
	}
	sale.Customer = completed(sale.Customer, customerOf(sale.Customer.ContactID, contact))
	return nil
}

// InvoiceInput names an invoice.
type InvoiceInput struct {
	Location  string `json:"location"`
	InvoiceID string `json:"invoiceId"`
}

// LookAtOrdersOfInvoice finds the orders that came from an invoice (A08) and hands each a hint. It results in their ids. The
// invoice is no longer parked then, if it was.
func (g *GHL) LookAtOrdersOfInvoice(ctx context.Context, in InvoiceInput) ([]string, error) {
	ctx, stop := alive(ctx)
	defer stop()
	ids, err := g.lookAtOrdersOfInvoice(ctx, in)
	return ids, asTemporal(err, attempt(ctx), 0)
}

func (g *GHL) lookAtOrdersOfInvoice(ctx context.Context, in InvoiceInput) ([]string, error) {
	client, err := g.Client(ctx, in.Location)
	if err != nil {
		return nil, err
	}
	doing(ctx, "finding the orders of the invoice")
	var ids []string
	for order, err := range client.Orders.All(ctx, ghl.OrderFilter{SourceID: in.InvoiceID}) {
		var unreadable *ghl.RowError
		switch {
		case errors.As(err, &unreadable) && unreadable.ID != "":
			order.ID = unreadable.ID // its own process reads it again, and parks it with the reason
		case errors.As(err, &unreadable), err == nil && order.Source.ID != "" && order.Source.ID != in.InvoiceID:
			continue
		case err != nil:
			return nil, err
		}
		if err := g.Look.LookAtOrder(ctx, in.Location, order.ID, "invoice"); err != nil {
			return nil, err
		}
		ids = append(ids, order.ID)
	}
	return ids, g.Store.Unpark(ctx, in.Location, store.InvoiceToOrder, in.InvoiceID)
}

// notFoundYet gives a missing object its own words: it may only be late.
func notFoundYet(err error, words string) error {
	if ghl.IsNotFound(err) {
		return &Fault{Kind: NotFound, Words: words, Err: err}
	}
	return err
}

// sightings are the states of an order and its transactions, as a sweep would see them.
func sightings(location string, order ghl.Order, transactions []ghl.Transaction) []store.Sighting {
	now := time.Now().UTC()
	seen := []store.Sighting{orderSighting(location, order, now)}
	for _, t := range transactions {
		seen = append(seen, transactionSighting(location, t, now))
	}
	return seen
}

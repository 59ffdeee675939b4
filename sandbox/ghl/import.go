package ghl

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/tallystick/tallystick/domain"
)

// readOrder reads a published order document.
func readOrder(document []byte) (*Order, Contact, error) {
	var in struct {
		ID            string `json:"_id"`
		AltID         string
		ContactID     string
		Status        string
		Fulfillment   string `json:"fulfillmentStatus"`
		Currency      string
		Amount        domain.Number
		LiveMode      bool
		MarkAsTest    bool
		Source        Source
		Contact       Contact `json:"contactSnapshot"`
		AmountSummary struct{ Subtotal, Discount, Tax, Shipping domain.Number }
		Items         []struct {
			Name    string
			Qty     int64
			Product struct {
				ID string `json:"_id"`
			}
			Price struct {
				ID     string `json:"_id"`
				Name   string
				Amount domain.Number
			}
		}
		CreatedAt, UpdatedAt time.Time
	}
	if err := json.Unmarshal(document, &in); err != nil {
		return nil, Contact{}, fmt.Errorf("ghl sandbox: the order is not in the published shape: %w", err)
	}
	currency, err := domain.ParseCurrency(in.Currency)
	if err != nil {
		return nil, Contact{}, err
	}
	o := &Order{ID: in.ID, LocationID: in.AltID, ContactID: in.ContactID, Currency: currency, Source: in.Source,
		Status: in.Status, FulfillmentStatus: in.Fulfillment, LiveMode: in.LiveMode, MarkAsTest: in.MarkAsTest,
		CreatedAt: in.CreatedAt, UpdatedAt: in.UpdatedAt}
	amounts := []struct {
		to   *domain.Money
		from domain.Number
	}{{&o.Amount, in.Amount}, {&o.Subtotal, in.AmountSummary.Subtotal}, {&o.Discount, in.AmountSummary.Discount},
		{&o.TaxTotal, in.AmountSummary.Tax}, {&o.Shipping, in.AmountSummary.Shipping}}
	for _, a := range amounts {
		if *a.to, err = domain.ParseMoney(a.from, currency); err != nil {
			return nil, Contact{}, err
		}
	}
	for _, i := range in.Items {
		amount, err := domain.ParseMoney(i.Price.Amount, currency)
		if err != nil {
			return nil, Contact{}, err
		}
		o.Items = append(o.Items, Item{Name: i.Name, Qty: i.Qty,
			Price: Price{ID: i.Price.ID, ProductID: i.Product.ID, Name: i.Price.Name, Amount: amount}})
	}
	return o, in.Contact, nil
}

package domain_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tallystick/tallystick/domain"
)

func TestFullName(t *testing.T) {
	assert.Equal(t, "Ada Lovelace", domain.Customer{FirstName: " Ada ", LastName: "Lovelace "}.FullName())
	assert.Equal(t, "Ada", domain.Customer{FirstName: "Ada"}.FullName())
	assert.Equal(t, "Lovelace", domain.Customer{LastName: "Lovelace"}.FullName())
	assert.Empty(t, domain.Customer{FirstName: " ", LastName: "\t"}.FullName())
}

func TestAsOf(t *testing.T) {
	sale := saleOf(100, pay("a", domain.Settled, 50, 0), pay("b", domain.Pending, 50, 0))
	assert.Equal(t, noon, sale.AsOf())
	sale.Payments[1].UpdatedAt = noon.Add(time.Minute)
	assert.Equal(t, noon.Add(time.Minute), sale.AsOf(), "a change of any payment is news of the sale")
	sale.UpdatedAt = noon.Add(time.Hour)
	assert.Equal(t, noon.Add(time.Hour), sale.AsOf())
}

func TestIdentities(t *testing.T) {
	sale := saleOf(100)
	assert.Equal(t, "ghl:guest:ord", sale.CustomerExtID())
	sale.Customer.ContactID = "con"
	assert.Equal(t, "ghl:contact:con", sale.CustomerExtID())

	all := []string{
		domain.OrderExtID("1"), domain.ContactExtID("1"), domain.GuestExtID("1"), domain.PriceExtID("1"),
		domain.ProductExtID("1"), domain.ChargeExtID("1"),
	}
	assert.Equal(t, []string{"ghl:order:1", "ghl:contact:1", "ghl:guest:1", "ghl:price:1", "ghl:product:1", "ghl:charge:1"}, all,
		"records at Sage carry these for ever")
}

func TestReferences(t *testing.T) {
	sale := saleOf(100)
	assert.Equal(t, []string{"ord"}, sale.References())
	sale.InvoiceNumber = "INV-7"
	assert.Equal(t, []string{"ord", "INV-7"}, sale.References())
}

func TestFree(t *testing.T) {
	assert.True(t, free("completed").Free())
	assert.True(t, free("COMPLETED").Free())
	assert.False(t, free("pending").Free())
	assert.False(t, free("").Free())
	assert.False(t, free("completed", pay("a", domain.Failed, 0, 0)).Free())
	paid := saleOf(1)
	paid.Status = "completed"
	assert.False(t, paid.Free())
}

func TestValidate(t *testing.T) {
	require.NoError(t, saleOf(100, pay("a", domain.Settled, 100, 0)).Validate())
	for _, spoil := range []func(*domain.Sale){
		func(s *domain.Sale) { s.Location = "" },
		func(s *domain.Sale) { s.OrderID = "" },
		func(s *domain.Sale) { s.Currency = "" },
		func(s *domain.Sale) { s.Currency = "EUR" },
		func(s *domain.Sale) { s.Total.Currency = "EUR" },
		func(s *domain.Sale) { s.Payments[0].Amount.Currency = "EUR" },
	} {
		sale := saleOf(100, pay("a", domain.Settled, 100, 0))
		spoil(&sale)
		require.Error(t, sale.Validate())
		_, err := sale.Settlement()
		require.Error(t, err)
		_, err = domain.Book(sale)
		require.Error(t, err)
	}
}

// TestSaleSurvivesJSON: a sale crosses the payloads of Temporal, where "not given" must not turn into "nothing".
func TestSaleSurvivesJSON(t *testing.T) {
	tax := usd(0)
	sale := saleOf(100, pay("a", domain.Settled, 100, 0))
	sale.Charges.Tax = &tax
	sale.Items = []domain.Item{{Name: "x", Quantity: 1, Price: usd(100)}}
	data, err := json.Marshal(sale)
	require.NoError(t, err)
	var got domain.Sale
	require.NoError(t, json.Unmarshal(data, &got))
	assert.Equal(t, sale, got)
	assert.NotNil(t, got.Charges.Tax)
	assert.Nil(t, got.Charges.Shipping)
}

package ghl

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tallystick/tallystick/domain"
)

const detailOrder = `{
	"_id": "653f5e0cde5a1314e62a837c", "altId": "3SwdhCu3svxI8AKsPJt6", "altType": "location", "contactId": "C1",
	"currency": "usd", "amount": 150.10, "status": "completed", "fulfillmentStatus": "unfulfilled", "liveMode": true,
	"amountSummary": {"subtotal": 138, "discount": "0", "tax": 12.1, "shipping": 0},
	"taxSummary": [{"_id": "T1", "name": "10%", "calculation": "exclusive", "rate": 10, "amount": 12.1}],
	"source": {"type": "website", "subType": "store", "id": "S1", "name": "Shop", "meta": {"stepId": 1}},
	"contactSnapshot": {"id": "C1", "first_name": "Ada", "last_name": "Lovelace", "company_name": "Engines", "email": "ada@example.com",
		"phone": "+100", "location_id": "3SwdhCu3svxI8AKsPJt6", "postal_code": "1", "country": "GB"},
	"items": [{"_id": "I1", "name": "Tee", "qty": "2", "product": {"_id": "P1", "name": "Tee", "productType": "PHYSICAL"},
		"price": {"_id": "R1", "name": "XL", "type": "one_time", "currency": "USD", "amount": 69.00}}, "just a name"],
	"coupon": {"_id": "K1", "code": "FEST10"}, "traceId": "t", "somethingNew": {"a": [1]},
	"createdAt": "2024-04-04T16:24:27.036Z", "updatedAt": "2024-04-04T18:24:31.297+02:00"}`

func TestOrderDetail(t *testing.T) {
	o, err := DecodeOrder([]byte(detailOrder))
	require.NoError(t, err)
	require.Equal(t, Order{
		ID: "653f5e0cde5a1314e62a837c", LocationID: "3SwdhCu3svxI8AKsPJt6", ContactID: "C1", Currency: "usd", Amount: "150.10",
		Contact: Contact{
			ID: "C1", LocationID: "3SwdhCu3svxI8AKsPJt6", Name: "Ada Lovelace", FirstName: "Ada", LastName: "Lovelace",
			CompanyName: "Engines", Email: "ada@example.com", Phone: "+100", PostalCode: "1", Country: "GB",
		},
		Summary: AmountSummary{Subtotal: "138", Discount: "0", Tax: "12.1", Shipping: "0"},
		Status:  "completed", FulfillmentStatus: "unfulfilled",
		Source: Source{Type: "website", SubType: "store", ID: "S1", Name: "Shop"},
		Items: []OrderItem{
			{
				ID: "I1", Name: "Tee", Quantity: "2", Product: Product{ID: "P1", Name: "Tee", Type: "PHYSICAL"},
				Price: Price{ID: "R1", Name: "XL", Type: "one_time", Currency: "USD", Amount: "69.00"},
			},
			{Name: "just a name"},
		},
		TaxSummary: []Tax{{ID: "T1", Name: "10%", Calculation: "exclusive", Rate: "10", Amount: "12.1"}},
		CouponCode: "FEST10", TraceID: "t",
		CreatedAt: time.Date(2024, 4, 4, 16, 24, 27, 36e6, time.UTC), UpdatedAt: time.Date(2024, 4, 4, 16, 24, 31, 297e6, time.UTC),
	}, o)
}

func TestOrderListRowHasTheSameShape(t *testing.T) {
	o, err := DecodeOrder([]byte(`{"_id": "1", "altId": "L", "contactId": "C1", "contactName": "Ada", "contactEmail": "ada@example.com",
		"currency": "EUR", "amount": "100", "subtotal": 110, "discount": 10, "status": {"odd": 1}, "liveMode": "false",
		"sourceType": "invoice", "sourceSubType": "x", "sourceId": "I1", "sourceName": "N", "couponCode": "100PER",
		"createdAt": "", "updatedAt": null}`))
	require.NoError(t, err)
	require.Equal(t, Order{
		ID: "1", LocationID: "L", ContactID: "C1", Contact: Contact{ID: "C1", Name: "Ada", Email: "ada@example.com"}, Currency: "EUR",
		Amount: "100", Summary: AmountSummary{Subtotal: "110", Discount: "10"}, Test: true,
		Source: Source{Type: "invoice", SubType: "x", ID: "I1", Name: "N"}, CouponCode: "100PER",
	}, o)
}

func TestTransactionBothShapes(t *testing.T) {
	want := Transaction{
		ID: "1", LocationID: "L", ContactID: "C1", Contact: Contact{ID: "C1", Name: "Ada", Email: "ada@example.com"},
		Currency: "USD", Amount: "118.40", AmountRefunded: "10", Status: "succeeded", EntityType: "order", EntityID: "O1",
		Source: Source{Type: "funnel", SubType: "upsell", ID: "F1", Name: "F"}, SubscriptionID: "sub_1", ChargeID: "ch_1", Provider: "stripe",
		CreatedAt: time.Date(2023, 11, 20, 10, 23, 36, 515e6, time.UTC),
	}
	row, err := DecodeTransaction([]byte(`{"_id":"1","altId":"L","contactId":"C1","contactName":"Ada","contactEmail":"ada@example.com","currency":"USD",
		"amount":118.40,"amountRefunded":"10","status":"succeeded","liveMode":true,"entityType":"order","entityId":"O1","entitySourceType":"funnel",
		"entitySourceSubType":"upsell","entitySourceId":"F1","entitySourceName":"F","subscriptionId":"sub_1","chargeId":"ch_1",
		"paymentProviderType":"stripe","createdAt":"2023-11-20T10:23:36.515Z","chargeSnapshot":{"amount":11840}}`))
	require.NoError(t, err)
	require.Equal(t, want, row)
	detail, err := DecodeTransaction([]byte(`{"_id":"1","altId":"L","contactSnapshot":{"id":"C1","name":"Ada","email":"ada@example.com"},"currency":"USD",
		"amount":"118.40","amountRefunded":10,"status":"succeeded","liveMode":"true","markAsTest":"false","entityType":"order","entityId":"O1",
		"entitySource":{"type":"funnel","subType":"upsell","id":"F1","name":"F"},"subscriptionId":"sub_1","chargeId":"ch_1",
		"paymentProvider":{"type":"stripe","connectedAccount":{"_id":"x"}},"createdAt":"2023-11-20T10:23:36.515Z"}`))
	require.NoError(t, err)
	require.Equal(t, want, detail)
}

func TestTestDataIsTold(t *testing.T) {
	for body, want := range map[string]bool{
		`"liveMode":true`: false, `"liveMode":false`: true, `"liveMode":"false"`: true, `"liveMode":"true"`: false, `"liveMode":0`: true,
		`"liveMode":null`: false, `"liveMode":"odd"`: false, `"a":1`: false, `"markAsTest":true`: true,
		`"liveMode":true,"markAsTest":"true"`: true, `"liveMode":true,"markAsTest":false`: false,
	} {
		o, err := DecodeOrder([]byte(`{"_id":"1",` + body + `}`))
		require.NoError(t, err)
		require.Equal(t, want, o.Test, body)
	}
}

func TestTimes(t *testing.T) {
	noon := time.Date(2024, 4, 4, 12, 0, 0, 0, time.UTC)
	for in, want := range map[string]time.Time{
		`"2024-04-04T12:00:00Z"`: noon, `"2024-04-04T12:00:00.000Z"`: noon, `"2024-04-04T14:00:00+02:00"`: noon, `"2024-04-04T12:00:00"`: noon,
		`"2024-04-04 12:00:00"`: noon, `"2024-04-04"`: noon.Truncate(24 * time.Hour), `1712232000000`: noon, `"1712232000000"`: noon,
		`null`: {}, `""`: {}, `"soon"`: {}, `{}`: {}, `17`: {}, `true`: {},
	} {
		var m moment
		require.NoError(t, json.Unmarshal([]byte(in), &m), in)
		require.Equal(t, want, m.Time, in)
	}
}

func TestAmountsAreExactOrRefused(t *testing.T) {
	o, err := DecodeOrder([]byte(`{"_id":"1","amount":9007199254740993.01}`))
	require.NoError(t, err)
	require.Equal(t, domain.Number("9007199254740993.01"), o.Amount)
	for _, amount := range []string{`"ten"`, `{}`, `[]`, `true`, `"1,5"`} {
		_, err := DecodeOrder([]byte(`{"_id":"1","amount":` + amount + `}`))
		require.Error(t, err, amount)
		_, err = DecodeOrder([]byte(`{"_id":"1","items":[{"qty":1,"price":{"amount":` + amount + `}}]}`))
		require.Error(t, err, amount)
		_, err = DecodeTransaction([]byte(`{"_id":"1","amountRefunded":` + amount + `}`))
		require.Error(t, err, amount)
	}
	_, err = DecodeOrder([]byte(`{"_id":"1","items":"none"}`))
	require.Error(t, err, "lines that are no list must not become an order without lines")
}

func TestContactInEverySpelling(t *testing.T) {
	for name, body := range map[string]string{
		"answer":  `{"contact":{"id":"C","firstName":"Ada","lastName":"Lovelace","companyName":"E","phone":"1","postalCode":"9","address1":"A","dateAdded":"2024-04-04T12:00:00Z"},"traceId":"t"}`,
		"webhook": `{"type":"ContactCreate","id":"C","name":"Ada Lovelace","firstName":"Ada","lastName":"Lovelace","companyName":"E","phone":"1","postalCode":"9","address1":"A","dateAdded":"2024-04-04T12:00:00Z"}`,
		"old":     `{"_id":"C","full_name":"Ada Lovelace","first_name":"Ada","last_name":"Lovelace","company_name":"E","phone":"1","postal_code":"9","address1":"A","dateAdded":"2024-04-04T12:00:00Z"}`,
		"invoice": `{"id":"C","name":"Ada Lovelace","firstName":"Ada","lastName":"Lovelace","companyName":"E","phoneNo":"1","address":{"addressLine1":"A","postalCode":"9"},"dateAdded":"2024-04-04T12:00:00Z"}`,
	} {
		c, err := DecodeContact([]byte(body))
		require.NoError(t, err, name)
		require.Equal(t, Contact{
			ID: "C", Name: "Ada Lovelace", FirstName: "Ada", LastName: "Lovelace", CompanyName: "E", Phone: "1", PostalCode: "9", Address: "A",
			CreatedAt: time.Date(2024, 4, 4, 12, 0, 0, 0, time.UTC),
		}, c, name)
	}
	c, err := DecodeContact([]byte(`{"id":"C","lastName":"Lovelace"}`))
	require.NoError(t, err)
	require.Equal(t, "Lovelace", c.Name)
}

func TestInvoiceNumberIsATextOrANumber(t *testing.T) {
	for in, want := range map[string]string{`"INV-0019"`: "INV-0019", `19`: "19", `"000019"`: "000019", `null`: ""} {
		i, err := DecodeInvoice([]byte(`{"_id":"1","altId":"L","invoiceNumber":` + in + `,"liveMode":true,"total":999,"amountDue":"0",
			"totalSummary":{"subTotal":999,"tax":1},"contactDetails":{"id":"C","phoneNo":"1"},
			"invoiceItems":[{"_id":"I","productId":"P","priceId":"R","name":"Mac","currency":"USD","qty":1,"amount":999},"odd"]}`))
		require.NoError(t, err)
		require.Equal(t, want, i.Number)
		require.Equal(t, domain.Number("999"), i.Total)
		require.Equal(t, domain.Number("1"), i.Summary.Tax)
		require.Equal(t, "1", i.Contact.Phone)
		require.Equal(t, "R", i.Items[0].PriceID)
		require.Len(t, i.Items, 2)
		require.False(t, i.Test)
	}
}

func TestWhatIsDecodedSurvivesStorage(t *testing.T) {
	o, err := DecodeOrder([]byte(detailOrder))
	require.NoError(t, err)
	stored, err := json.Marshal(o)
	require.NoError(t, err)
	var back Order
	require.NoError(t, json.Unmarshal(stored, &back))
	require.True(t, o.Amount.Equal(back.Amount))
	back.Amount = o.Amount // 150.10 and 150.1 are one amount in two spellings
	require.Equal(t, o.Summary, back.Summary)
	require.Equal(t, o.UpdatedAt, back.UpdatedAt)
	require.Equal(t, o.Contact, back.Contact)
	require.Equal(t, o.Items[0].Product, back.Items[0].Product)
}

func TestNestedListWrapping(t *testing.T) {
	for body, total := range map[string]int64{
		`{"data":{"data":[{"_id":"1"}],"totalCount":7}}`: 7, `{"data":{"data":[{"_id":"1"}]},"totalCount":8}`: 8, `{"data":[{"_id":"1"}],"totalCount":"x"}`: -1,
		`{"data":[{"_id":"1"}],"totalCount":-4}`: -1, `{"data":[{"_id":"1"}],"totalCount":[]}`: -1,
	} {
		var l listAnswer
		require.NoError(t, json.Unmarshal([]byte(body), &l), body)
		require.Len(t, l.rows, 1)
		require.Equal(t, total, l.total, body)
	}
}

func FuzzDecode(f *testing.F) {
	for _, seed := range []string{
		detailOrder, `{}`, `null`, `{"_id":1}`, `{"_id":"1","items":[null,1,[],{}],"taxSummary":[null,"x"]}`, `{"_id":"1","amount":"1e3"}`,
		`{"data":{"data":[]}}`, `{"contact":{"id":"1","address":{"city":4}}}`, strings.Repeat("[", 100),
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if o, err := DecodeOrder(data); err == nil {
			if o.ID == "" {
				t.Error("an order without an id was taken")
			}
			if _, err := json.Marshal(o); err != nil {
				t.Errorf("what was decoded cannot be kept: %v", err)
			}
		}
		if tx, err := DecodeTransaction(data); err == nil {
			if tx.ID == "" {
				t.Error("a transaction without an id was taken")
			}
			if _, err := json.Marshal(tx); err != nil {
				t.Errorf("what was decoded cannot be kept: %v", err)
			}
		}
		if c, err := DecodeContact(data); err == nil && c.ID == "" {
			t.Error("a contact without an id was taken")
		}
		if i, err := DecodeInvoice(data); err == nil && i.ID == "" {
			t.Error("an invoice without an id was taken")
		}
		var l listAnswer
		if json.Unmarshal(data, &l) == nil && l.rows == nil {
			t.Error("an answer without an array was taken for a list")
		}
	})
}

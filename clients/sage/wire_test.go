package sage

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tallystick/tallystick/clients/transport"
	"github.com/tallystick/tallystick/domain"
)

func TestRefReadsEveryKnownForm(t *testing.T) {
	for in, want := range map[string]Ref{
		`4380`:                                  {ID: 4380},
		`"4380"`:                                {ID: 4380},
		`4380.0`:                                {ID: 4380},
		`null`:                                  {},
		`""`:                                    {},
		`{}`:                                    {},
		`{"id":4380,"value":"Financial Dept."}`: {ID: 4380, Label: "Financial Dept."},
		`{"id":51,"description":"A Person"}`:    {ID: 51, Label: "A Person"},
		`{"id":51,"value":null,"description":"x"}`: {ID: 51, Label: "x"},
		`{"id":null,"value":null}`:                 {},
		`{"id":5,"value":12}`:                      {ID: 5, Label: "12"},
	} {
		var got Ref
		require.NoError(t, json.Unmarshal([]byte(in), &got), in)
		assert.Equal(t, want, got, in)
	}
	for _, in := range []string{`"EUR"`, `1.5`, `[1]`, `true`, `{"id":"x"}`} {
		var got Ref
		require.Error(t, json.Unmarshal([]byte(in), &got), in)
	}
}

func TestRefIsWrittenAsABareInteger(t *testing.T) {
	out, err := json.Marshal([]Ref{{ID: 7, Label: "left out"}, {}})
	require.NoError(t, err)
	assert.JSONEq(t, `[7,null]`, string(out))
}

func TestBoolReadsFlagsAndRefusesTheRest(t *testing.T) {
	for in, want := range map[string]Bool{`true`: true, `false`: false, `1`: true, `0`: false, `null`: false, `"1"`: true, `"False"`: false} {
		got := !want
		require.NoError(t, got.UnmarshalJSON([]byte(in)), in)
		assert.Equal(t, want, got, in)
	}
	for _, in := range []string{`2`, `"yes"`, `{}`, `-1`} {
		var got Bool
		require.Error(t, json.Unmarshal([]byte(in), &got), in)
	}
}

func TestTimeReadsNoneToThreeFractionDigits(t *testing.T) {
	at := time.Date(2017, 10, 17, 11, 17, 57, 0, time.UTC)
	for in, want := range map[string]time.Time{
		`"2017-10-17T11:17:57Z"`:     at,
		`"2017-10-17T11:17:57.1Z"`:   at.Add(100 * time.Millisecond),
		`"2017-10-17T11:17:57.01Z"`:  at.Add(10 * time.Millisecond),
		`"2017-10-17T11:17:57.363Z"`: at.Add(363 * time.Millisecond),
		`"2017-10-17 11:17:57"`:      at,
		`"2017-10-17T11:17:57"`:      at,
		`"2017-10-17"`:               time.Date(2017, 10, 17, 0, 0, 0, 0, time.UTC),
		`null`:                       {},
		`""`:                         {},
	} {
		var got Time
		require.NoError(t, json.Unmarshal([]byte(in), &got), in)
		assert.True(t, want.Equal(got.Time), "%s gave %s", in, got)
	}
	for _, in := range []string{`"yesterday"`, `5`, `{}`} {
		var got Time
		require.Error(t, json.Unmarshal([]byte(in), &got), in)
	}
}

func TestTimeIsWrittenInUTCWithoutZone(t *testing.T) {
	berlin := time.FixedZone("", 2*3600)
	out, err := json.Marshal([]Time{At(time.Date(2026, 6, 1, 1, 2, 3, 999, berlin)), {}})
	require.NoError(t, err)
	assert.JSONEq(t, `["2026-05-31 23:02:03",null]`, string(out))
}

// orderAsRead follows the sample order of the vendor's documentation in shape: references as objects, the misspelt
// date, an update date of null, extra fields among the vendor's own.
const orderAsRead = `{"accountId":{"id":1268,"value":"ACME"},"archived":false,"blocked":1,"branchId":{"id":1,"value":"Main"},
"closedDate":null,"comment":null,"currencyId":{"id":3,"value":"Euro"},"dateCreated":"2017-10-17T11:17:57.363Z",
"dateDeleted":null,"dateUpdated":null,"deleted":false,"discount1":12.5,"extId":"ghl:order:1","id":77,"number":12,
"reference":"INV-1","salesForcecastDate":"2018-01-01T00:00:00Z","salesRepId":{"id":51,"description":"Somebody"},
"salesRepIdCreated":51,"statusId":{"id":4,"value":"Won"},"total":1234567890123.45,"unknownField":{"a":1},
"Z_PaidAmount":99.90,"Z_PaymentStatus":{"id":2,"value":"paid"},"Z_Tags":[{"id":1,"value":"a"},{"id":2,"value":"b"}],
"Z_PaidAt":"2026-01-02T03:04:05.5Z","Z_Note":"text","Z_Empty":null,"Z_Flag":true}`

func TestOrderAsRead(t *testing.T) {
	var o Order
	require.NoError(t, json.Unmarshal([]byte(orderAsRead), &o))
	assert.Equal(t, int64(77), o.ID)
	assert.Equal(t, Ref{ID: 1268, Label: "ACME"}, o.AccountID)
	assert.Equal(t, Ref{ID: 51, Label: "Somebody"}, o.SalesRepID)
	assert.Equal(t, int64(51), o.CreatedBy.ID)
	assert.Equal(t, domain.Number("1234567890123.45"), o.Total, "no digit is lost")
	assert.Equal(t, 2018, o.SalesForecastDate.Year())
	assert.True(t, o.DateUpdated.IsZero())
	assert.Equal(t, "blocked", o.Locked())
	assert.Equal(t, domain.Number("99.90"), o.Extra.Number("Z_PaidAmount"))
	assert.Equal(t, "paid", o.Extra.Text("Z_PaymentStatus"))
	assert.Equal(t, "a, b", o.Extra.Text("Z_Tags"))
	assert.Equal(t, []Ref{{1, "a"}, {2, "b"}}, o.Extra.Refs("Z_Tags"))
	assert.True(t, o.Extra.Has("Z_Empty"))
	assert.False(t, o.Extra.Has("Z_Absent"))
	assert.False(t, o.Extra.Has("unknownField"))
	assert.Empty(t, o.Extra.Text("Z_Absent"))
	assert.False(t, o.Extra.Number("Z_Note").IsSet())
	assert.True(t, o.Extra.Time("Z_Note").IsZero())
}

func TestOrderReadsTheForecastInEitherSpelling(t *testing.T) {
	var o Order
	require.NoError(t, json.Unmarshal([]byte(`{"id":1,"salesForecastDate":"2020-05-05T00:00:00Z"}`), &o))
	assert.Equal(t, 2020, o.SalesForecastDate.Year())
}

func TestDecodingLeavesNothingOfThePreviousRecord(t *testing.T) {
	var o Order
	require.NoError(t, json.Unmarshal([]byte(orderAsRead), &o))
	require.NoError(t, json.Unmarshal([]byte(`{"id":1}`), &o))
	assert.Equal(t, Order{Audit: Audit{ID: 1}}, o)
}

func TestExtraSame(t *testing.T) {
	var o Order
	require.NoError(t, json.Unmarshal([]byte(orderAsRead), &o))
	for name, wants := range map[string][]any{
		"Z_PaidAmount":    {domain.Number("99.9")},
		"Z_PaymentStatus": {"paid", int64(2)},
		"Z_PaidAt":        {At(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))},
		"Z_Note":          {"text"},
		"Z_Empty":         {nil, "", domain.Number("")},
		"Z_Absent":        {nil, ""},
		"Z_Flag":          {true},
	} {
		for _, want := range wants {
			assert.True(t, o.Extra.Same(name, want), "%s %v", name, want)
		}
	}
	for name, want := range map[string]any{
		"Z_PaidAmount": domain.Number("99.91"), "Z_PaymentStatus": int64(3), "Z_Note": "Text", "Z_Flag": false,
		"Z_Empty": domain.Number("0"), "Z_PaidAt": At(time.Date(2026, 1, 2, 3, 4, 6, 0, time.UTC)), "Z_Absent": 1.5,
	} {
		assert.False(t, o.Extra.Same(name, want), name)
	}
}

func TestOrderIsWrittenFlatWithOnlyWhatIsSet(t *testing.T) {
	at := At(time.Date(2026, 2, 3, 4, 5, 6, 0, time.UTC))
	body, err := json.Marshal(OrderFields{
		ExtID: new("ghl:order:1"), AccountID: new(int64(1268)), Total: new(domain.Number("0.10")), Comment: new(""),
		SalesForecastDate: &at,
		Extra: ExtraFields{"Z_PaidAmount": domain.Number("150.10"), "Z_PaidAt": at, "Z_PaymentStatus": "paid", "Z_List": int64(3),
			"Z_Many": []int64{1, 2}, "Z_Clear": nil},
	})
	require.NoError(t, err)
	assert.Equal(t, `{"extId":"ghl:order:1","accountId":1268,"total":0.10,"comment":"","salesForcecastDate":"2026-02-03 04:05:06",`+
		`"Z_Clear":null,"Z_List":3,"Z_Many":[1,2],"Z_PaidAmount":150.10,"Z_PaidAt":"2026-02-03 04:05:06","Z_PaymentStatus":"paid"}`, string(body))

	body, err = json.Marshal(OrderFields{Extra: ExtraFields{"Z_A": "b"}})
	require.NoError(t, err)
	assert.Equal(t, `{"Z_A":"b"}`, string(body))

	body, err = json.Marshal(OrderFields{})
	require.NoError(t, err)
	assert.Equal(t, `{}`, string(body))
}

func TestExtraFieldsRefuseFloatsAndForeignNames(t *testing.T) {
	for _, extra := range []ExtraFields{{"Z_A": 1.5}, {"Z_A": domain.Number("")}, {"Z_A": 1}, {"Z_A": map[string]any{}}, {"total": "1"}, {"Z_": "1"}, {`Z_a"b`: "1"}} {
		_, err := json.Marshal(OrderFields{Extra: extra})
		require.ErrorIs(t, err, transport.ErrInvalidCall, "%v", extra)
	}
}

func TestLineLinkIsWrittenAndReadUnderDifferentNames(t *testing.T) {
	body, err := json.Marshal(LineFields{OrderID: new(int64(7)), Quantity: new(int64(0)), Price: new(domain.Number("-5.00")), Position: new(int64(2))})
	require.NoError(t, err)
	assert.Equal(t, `{"salesOrderId":7,"order":2,"quantity":0,"price":-5.00}`, string(body))
	for _, key := range []string{"salesorderId", "salesOrderId"} {
		var l Line
		require.NoError(t, json.Unmarshal([]byte(`{"id":1,"`+key+`":{"id":7,"value":"INV-1"},"order":2,"quantity":3}`), &l))
		assert.Equal(t, int64(7), l.OrderID.ID)
	}
}

func TestLockedNamesTheReason(t *testing.T) {
	assert.Empty(t, Account{}.Locked())
	assert.Equal(t, "deleted", Account{Audit: Audit{Deleted: true}, ReadOnly: true}.Locked())
	assert.Equal(t, "readOnly", Contact{ReadOnly: true}.Locked())
	assert.Equal(t, "readOnly", Product{ReadOnly: true}.Locked())
	assert.Equal(t, "readOnly", Order{ReadOnly: true, Blocked: true}.Locked())
	assert.Equal(t, "blocked", Order{Blocked: true}.Locked())
}

func TestLabelFallsThroughTheLanguages(t *testing.T) {
	assert.Equal(t, "a", Labels{EN: "a", US: "b", Plain: "c"}.Label())
	assert.Equal(t, "b", Labels{EN: "  ", RU: "b", Plain: "c"}.Label())
	assert.Equal(t, "c", Labels{Plain: "c"}.Label())
	assert.Empty(t, Labels{}.Label())
}

func TestSchema(t *testing.T) {
	var s Schema
	require.NoError(t, json.Unmarshal([]byte(`{"properties":{
		"accountId":{"description":"","properties":{"id":{"type":"integer"},"value":{"type":["string","null"]}},"readOnly":false,"required":["id"],"table":"accounts","type":["object","null"]},
		"Z_B":{"type":"string","maxLength":100},"Z_A":{"type":["number","null"],"readOnly":true}}}`), &s))
	assert.Equal(t, Field{Name: "accountId", Types: []string{"object", "null"}, Table: "accounts"}, s.Fields["accountId"])
	extra := s.Extra()
	require.Len(t, extra, 2)
	assert.Equal(t, Field{Name: "Z_A", Types: []string{"number", "null"}, ReadOnly: true}, extra[0])
	assert.True(t, extra[1].Is("string"))
	assert.Equal(t, 100, extra[1].MaxLength)
	require.Error(t, json.Unmarshal([]byte(`{"properties":{}}`), &s), "no fields at all is no schema")
}

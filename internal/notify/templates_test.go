package notify

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tallystick/tallystick/domain"
)

var (
	moment = time.Date(2026, 3, 2, 14, 5, 0, 0, time.UTC)
	place  = Place{Location: "loc1", Order: "order1", SageOrder: 4711, Namespace: "default", Workflow: "fulfillment/loc1/order1"}
	links  = Links{
		GHLOrder:  "https://app.example/v2/location/{location}/payments/orders/{order}",
		SageOrder: "https://sage.example/#/salesorders/{sageOrder}",
		Workflow:  "http://localhost:8233/namespaces/{namespace}/workflows/{workflow}",
	}
)

func shipped() Step {
	return Step{
		State: "shipped", Location: "loc1", Order: "order1", SageOrder: 4711, Shipment: "ful1", Since: moment,
		Items:     []Item{{"Shirt", 2}, {"Mug", 1}},
		Trackings: []Tracking{{"1Z999", "UPS", "https://ups.example/1Z999"}, {Number: "00340434", Carrier: "DHL"}, {URL: "https://x.example"}},
	}.WithLinks(links, place)
}

func TestTheTextsThatComeWithIt(t *testing.T) {
	t.Parallel()
	got, err := (*Templates)(nil).Message(shipped())
	require.NoError(t, err)
	require.Equal(t, `Order order1 has been shipped
What: 2 × Shirt, 1 × Mug
Carrier and tracking: UPS 1Z999 (https://ups.example/1Z999), DHL 00340434, https://x.example
Since: 2 March 2026, 14:05 UTC
Order in HighLevel: https://app.example/v2/location/loc1/payments/orders/order1
Order in Sage: https://sage.example/#/salesorders/4711
Workflow: http://localhost:8233/namespaces/default/workflows/fulfillment%2Floc1%2Forder1`, got)

	bare := Step{State: "cancelled", Order: "order1", SageOrder: 4711, Workflow: "fulfillment/loc1/order1", Reason: "refunded in full"}
	got, err = (*Templates)(nil).Activity(bare)
	require.NoError(t, err)
	require.Equal(t, `Order order1 will not be shipped any further: refunded in full
Order in HighLevel: order1
Order in Sage: id 4711
Workflow: fulfillment/loc1/order1`, got)
}

func TestHeadlinesSayWhatBecameOfTheOrder(t *testing.T) {
	t.Parallel()
	for want, s := range map[string]Step{
		"Order o is being prepared for shipping":       {State: "processing"},
		"Part of order o is being prepared":            {State: "processing", Part: true},
		"Part of order o has been shipped":             {State: "shipped", Part: true},
		"Order o has been delivered":                   {State: "delivered"},
		"Part of order o has been delivered":           {State: "delivered", Part: true},
		"Order o is complete: nothing to ship":         {State: "delivered", Reason: "nothing to ship"},
		"Order o will not be shipped any further":      {State: "cancelled"},
		"Order o will not be shipped any further: off": {State: "cancelled", Reason: "off"},
	} {
		s.Order = "o"
		subject, description, err := (*Templates)(nil).Task(s)
		require.NoError(t, err)
		require.True(t, strings.HasPrefix(subject, want), subject)
		require.Equal(t, "Order in HighLevel: o", description)
	}
}

// Every text about every step can be written, since a text that fails is taken from these.
func TestAllTextsThatComeWithItCanBeWritten(t *testing.T) {
	t.Parallel()
	require.NoError(t, defaults.check())
	for _, state := range domain.FulfillmentStates() {
		for _, s := range samples(string(state)) {
			for _, block := range blocks {
				text, err := defaults.write(block, s)
				require.NoError(t, err)
				require.NotEmpty(t, text)
				require.NotContains(t, text, "\n\n")
				require.NotContains(t, text, "<no value>")
			}
		}
	}
}

func TestLongListsAreCut(t *testing.T) {
	t.Parallel()
	s := Step{Items: make([]Item, mostShown+3)}
	require.True(t, strings.HasSuffix(s.What(), ", and 3 more"))
	require.Equal(t, mostShown, strings.Count(s.What(), "×"))
	templates, err := ParseTemplates("own.tmpl", `{{define "task"}}{{.Order}}{{end}}`)
	require.NoError(t, err)
	subject, description, err := templates.Task(Step{Order: strings.Repeat("ä", 200)})
	require.NoError(t, err)
	require.Len(t, []rune(subject), longestSubject)
	require.Empty(t, description)
}

func TestAFileChangesSomeTextsAndLeavesTheOthers(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "texts.tmpl")
	require.NoError(t, os.WriteFile(path, []byte(`{{/* ours */}}
{{define "message"}}{{template "mark" .}} {{template "headline" .}} on {{(in "Europe/Madrid" .Since).Format "02.01.2006 15:04"}}{{end}}
{{define "mark"}}:package:{{end}}
{{define "activity"}}{{if ne .State "processing"}}{{.What}}{{end}}{{end}}
{{define "task"}}{{end}}
`), 0o600))
	templates, err := LoadTemplates(path)
	require.NoError(t, err)
	s := shipped()
	got, err := templates.Message(s)
	require.NoError(t, err)
	require.Equal(t, ":package: Order order1 has been shipped on 02.03.2026 15:05", got)
	got, err = templates.Activity(s)
	require.NoError(t, err)
	require.Equal(t, "2 × Shirt, 1 × Mug", got)
	s.State = "processing"
	got, err = templates.Activity(s)
	require.NoError(t, err)
	require.Empty(t, got, "a block may leave out a step")
	subject, description, err := templates.Task(s)
	require.NoError(t, err)
	require.Empty(t, subject+description, "an empty block says nothing at all")

	// Nothing of it is in the texts of others.
	got, err = (*Templates)(nil).Message(shipped())
	require.NoError(t, err)
	require.Contains(t, got, "Since: 2 March")
	without, err := LoadTemplates("")
	require.NoError(t, err)
	again, err := without.Message(shipped())
	require.NoError(t, err)
	require.Equal(t, got, again)
	copied, err := ParseTemplates("copy.tmpl", DefaultTexts())
	require.NoError(t, err, "the texts that come with it are a file to begin with")
	again, err = copied.Message(shipped())
	require.NoError(t, err)
	require.Equal(t, got, again)
}

func TestFaultsOfAFileSayWhereAndWhat(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		text string
		want []string
	}{
		"not closed":        {`{{define "message"}}{{.Order}`, []string{"own.tmpl:1", "correct the file"}},
		"unknown function":  {"\n{{define \"message\"}}{{shout .Order}}{{end}}", []string{"own.tmpl:2", "shout"}},
		"no such field":     {"{{define \"activity\"}}\n{{.Costumer}}{{end}}", []string{"own.tmpl:2", "Costumer", ".Order", ".Parcels"}},
		"no such in a list": {`{{define "task"}}{{range .Items}}{{.Price}}{{end}}{{end}}`, []string{"own.tmpl:1", "Price", ".Quantity"}},
		"only if there are": {`{{define "message"}}{{(index .Trackings 0).Number}}{{end}}`, []string{"own.tmpl:1", "index"}},
		"only one state":    {`{{define "message"}}{{if eq .State "delivered"}}{{.Nothing}}{{end}}{{end}}`, []string{"own.tmpl:1", "Nothing"}},
		"wrong zone":        {`{{define "message"}}{{in "Madrid" .Since}}{{end}}`, []string{"own.tmpl:1", "Madrid", "Europe/Madrid"}},
		"misspelt block":    {`{{define "mesage"}}x{{end}}`, []string{"own.tmpl", `"mesage"`, "message, activity, task"}},
		"no such block":     {`{{define "message"}}{{template "foot" .}}{{end}}`, []string{"own.tmpl:1", "foot"}},
		"outside":           {"Hello {{.Order}}", []string{"own.tmpl", "outside", "{{define"}},
		"twice":             {`{{define "message"}}x{{end}}{{define "message"}}y{{end}}`, []string{"own.tmpl:1", "message"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			templates, err := ParseTemplates("own.tmpl", c.text)
			require.Nil(t, templates)
			require.Error(t, err)
			for _, want := range c.want {
				require.ErrorContains(t, err, want)
			}
		})
	}
	_, err := LoadTemplates(filepath.Join(t.TempDir(), "none.tmpl"))
	require.ErrorContains(t, err, "cannot be read")
	_, err = LoadTemplates(t.TempDir())
	require.ErrorContains(t, err, "no file of templates")
}

// A text that fails only with what a real order has is replaced: a team is told all the same.
func TestATextThatFailsLaterIsReplaced(t *testing.T) {
	t.Parallel()
	templates, err := ParseTemplates("own.tmpl", `{{define "message"}}{{if gt (len .Items) 5}}{{index .Items 99}}{{end}}ours{{end}}`)
	require.NoError(t, err)
	got, err := templates.Message(shipped())
	require.NoError(t, err)
	require.Equal(t, "ours", got)
	s := shipped()
	s.Items = make([]Item, 6)
	got, err = templates.Message(s)
	require.Error(t, err)
	require.Contains(t, got, "has been shipped")
}

func TestLinks(t *testing.T) {
	t.Parallel()
	for _, address := range []string{"", links.GHLOrder, links.SageOrder, links.Workflow, "https://x.example/?q={order}"} {
		require.NoError(t, CheckLink(address), address)
	}
	for address, want := range map[string]string{
		"https://x.example/{Order}": "{order}", "https://x.example/{}": "no placeholder {}", "app.example/{order}": "http",
		"{order}": "http", "ftp://x.example/{order}": "http", "javascript:alert(1)": "http",
	} {
		require.ErrorContains(t, CheckLink(address), want, address)
	}
	s := Step{}.WithLinks(links, Place{Location: "a b/..", Order: "o?&#", Workflow: "w"})
	require.Equal(t, "https://app.example/v2/location/a%20b%2F../payments/orders/o%3F%26%23", s.OrderLink)
	require.Empty(t, s.SageLink, "no page without the order's id")
	require.Empty(t, s.WorkflowLink, "no page without a namespace")
	require.Equal(t, "w", s.Workflow)
}

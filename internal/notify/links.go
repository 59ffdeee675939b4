package notify

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Links are the addresses of the pages where people see an order and its process. They have placeholders in them, each
// a word in braces: {location}, {order}, {sageOrder}, {namespace} and {workflow}. An empty address makes no link.
type Links struct {
	// GHLOrder is the order's page in HighLevel, SageOrder that in Sage, Workflow that in Temporal's UI.
	GHLOrder, SageOrder, Workflow string
}

// Place is what a link leads to. None of it is personal.
type Place struct {
	// Location and Order are HighLevel's ids.
	Location, Order string
	// SageOrder is the id of the sales order at Sage, 0 if it is not known.
	SageOrder int64
	// Namespace and Workflow are Temporal's.
	Namespace, Workflow string
}

var placeholder = regexp.MustCompile(`\{[^{}]*\}`)

func (p Place) values() map[string]string {
	sageOrder := ""
	if p.SageOrder != 0 {
		sageOrder = strconv.FormatInt(p.SageOrder, 10)
	}
	return map[string]string{
		"{location}": p.Location, "{order}": p.Order, "{sageOrder}": sageOrder,
		"{namespace}": p.Namespace, "{workflow}": p.Workflow,
	}
}

// fill puts the values in their places, escaped. Without one of the values there is no link.
func (p Place) fill(address string) string {
	values := p.values()
	complete := true
	filled := placeholder.ReplaceAllStringFunc(address, func(name string) string {
		complete = complete && values[name] != ""
		// This form stands in a path as well as in a query; a workflow's id has slashes in it.
		return strings.ReplaceAll(url.QueryEscape(values[name]), "+", "%20")
	})
	if !complete {
		return ""
	}
	return filled
}

// CheckLink says what is wrong with the address of a link: a placeholder that there is none of, or no http or https URL.
// An empty one is right.
func CheckLink(address string) error {
	sample := Place{Location: "l", Order: "o", SageOrder: 1, Namespace: "n", Workflow: "w"}
	known := sample.values()
	for _, name := range placeholder.FindAllString(address, -1) {
		if _, ok := known[name]; !ok {
			names := make([]string, 0, len(known))
			for name := range known {
				names = append(names, name)
			}
			slices.Sort(names)
			return fmt.Errorf("there is no placeholder %s; there are %s", name, strings.Join(names, ", "))
		}
	}
	filled := sample.fill(address)
	if u, err := url.Parse(filled); filled != "" && (err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http")) {
		return fmt.Errorf("it must be an http or https address, such as the browser shows for one such page")
	}
	return nil
}

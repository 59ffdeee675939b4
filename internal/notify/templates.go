package notify

import (
	_ "embed"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"text/template"
	"text/template/parse"
	"time"
	_ "time/tzdata" // the images hold nothing but the program, and texts may name a time zone

	"github.com/tallystick/tallystick/domain"
)

//go:embed texts.tmpl
var defaultTexts string

// The blocks that a file of templates may define.
const (
	messageBlock  = "message"
	activityBlock = "activity"
	taskBlock     = "task"
)

var blocks = []string{messageBlock, activityBlock, taskBlock}

const (
	// mostShown is how many products or parcels a text lists by name.
	mostShown = 20
	// longestSubject is short enough to be read in a list; what Sage takes is not published.
	longestSubject = 100
	// largestFile is far more than anyone writes, and little enough to be read by mistake.
	largestFile = 1 << 20
)

// Step is what the texts may say about one step of an order's shipping. Nothing in it is personal: whoever the customer
// is stands in the records that the links lead to, behind their log-ins.
type Step struct {
	// State is what the order, or the part of it, has become: processing, shipped, delivered or cancelled.
	State string
	// Part tells that it is about one shipment of several, and not about the whole order.
	Part bool
	// Location and Order are HighLevel's ids; SageOrder is that of the sales order, 0 if there is none.
	Location, Order string
	SageOrder       int64
	// Shipment is HighLevel's id of the shipment; empty where it is about the whole order.
	Shipment string
	// Items and Trackings are those of the shipment, or of all shipments. Either may be empty.
	Items     []Item
	Trackings []Tracking
	// Since is when the step was taken, in UTC.
	Since time.Time
	// Reason says why the shipping is over where that is not plain, such as "refunded in full".
	Reason string
	// Workflow is the id of the process that follows the order.
	Workflow string
	// OrderLink, SageLink and WorkflowLink are the pages of the three; empty where no address is set.
	OrderLink, SageLink, WorkflowLink string
}

// Item is so many pieces of a product.
type Item struct {
	Name     string
	Quantity int64
}

// Tracking is a parcel. Carrier and URL may be empty.
type Tracking struct{ Number, Carrier, URL string }

// WithLinks gives the step the links to where it happens.
func (s Step) WithLinks(l Links, p Place) Step {
	s.OrderLink, s.SageLink, s.WorkflowLink = p.fill(l.GHLOrder), p.fill(l.SageOrder), p.fill(l.Workflow)
	s.Workflow = p.Workflow
	return s
}

// What lists the products: "2 × Shirt, 1 × Mug".
func (s Step) What() string {
	return listed(s.Items, func(i Item) string { return strconv.FormatInt(i.Quantity, 10) + " × " + i.Name })
}

// Parcels lists carriers and tracking numbers: "UPS 1Z999AA10123456784 (https://…), DHL 00340434".
func (s Step) Parcels() string {
	return listed(s.Trackings, func(t Tracking) string {
		text := strings.TrimSpace(t.Carrier + " " + t.Number)
		switch {
		case t.URL == "":
			return text
		case text == "":
			return t.URL
		}
		return text + " (" + t.URL + ")"
	})
}

// When is Since as people write it, to the minute; empty if it is not known.
func (s Step) When() string {
	if s.Since.IsZero() {
		return ""
	}
	return s.Since.UTC().Format("2 January 2006, 15:04 MST")
}

func listed[T any](all []T, text func(T) string) string {
	var words []string
	for i, one := range all {
		if i == mostShown {
			words = append(words, fmt.Sprintf("and %d more", len(all)-mostShown))
			break
		}
		words = append(words, text(one))
	}
	return strings.Join(words, ", ")
}

// Templates are the texts by which people are told of an order's shipping. The nil Templates has those that come with
// Tallystick.
type Templates struct {
	set *template.Template
	// blank are the blocks that a file defines as empty: nothing is said.
	blank map[string]bool
}

var functions = template.FuncMap{
	// in shows a moment in a time zone by its IANA name: {{(in "Europe/Madrid" .Since).Format "02.01.2006 15:04"}}.
	"in": func(zone string, moment time.Time) (time.Time, error) {
		place, err := time.LoadLocation(zone)
		if err != nil {
			return time.Time{}, fmt.Errorf("there is no time zone %q; name one as Europe/Madrid", zone)
		}
		return moment.In(place), nil
	},
}

var defaults = &Templates{set: template.Must(template.New("texts.tmpl").Funcs(functions).Parse(defaultTexts))}

// DefaultTexts is the source of the texts that come with Tallystick, to begin a file of one's own with.
func DefaultTexts() string { return defaultTexts }

// LoadTemplates reads the texts from a file, NOTIFY_TEMPLATES; an empty path gives those that come with Tallystick. A
// fault in it is found here and not when somebody is to be told: the error names file and line, and what to do.
func LoadTemplates(path string) (*Templates, error) {
	if path == "" {
		return defaults, nil
	}
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, fmt.Errorf("the file of templates cannot be read: %w", err)
	case !info.Mode().IsRegular() || info.Size() > largestFile:
		return nil, fmt.Errorf("%s is no file of templates: it must be a text file of at most 1 MiB", path)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("the file of templates cannot be read: %w", err)
	}
	return ParseTemplates(filepath.Base(path), string(text))
}

// ParseTemplates reads the texts of a file. Its blocks stand in for those of the same name that come with Tallystick.
func ParseTemplates(file, text string) (*Templates, error) {
	own, err := template.New(file).Funcs(functions).Parse(text)
	if err != nil {
		return nil, withAdvice(err)
	}
	t := &Templates{set: template.Must(defaults.set.Clone()), blank: map[string]bool{}}
	if own.Tree != nil && !parse.IsEmptyTree(own.Root) {
		return nil, fmt.Errorf(`%s: there is text outside of the blocks, which nobody would see; put it between {{define "message"}} and {{end}}`, file)
	}
	if err := allUsed(file, own.Templates(), t.set); err != nil {
		return nil, err
	}
	for _, block := range own.Templates() {
		if block.Name() == file {
			continue
		}
		t.blank[block.Name()] = parse.IsEmptyTree(block.Root)
		if _, err := t.set.AddParseTree(block.Name(), block.Tree); err != nil {
			return nil, withAdvice(err)
		}
	}
	if err := t.check(); err != nil {
		return nil, err
	}
	return t, nil
}

// allUsed finds a block whose name is misspelt: nothing else would tell that its text is never seen.
func allUsed(file string, own []*template.Template, standard *template.Template) error {
	var called strings.Builder
	for _, block := range own {
		if block.Tree != nil {
			called.WriteString(block.Root.String())
		}
	}
	for _, block := range own {
		name := block.Name()
		if name == file || standard.Lookup(name) != nil || strings.Contains(called.String(), "{{template "+strconv.Quote(name)) {
			continue
		}
		return fmt.Errorf("%s: nothing uses a block %q; the blocks are %s", file, name, strings.Join(blocks, ", "))
	}
	return nil
}

// check writes every text about every step, with all that may be known of it and with as little as may be.
func (t *Templates) check() error {
	for _, state := range domain.FulfillmentStates() {
		for _, s := range samples(string(state)) {
			for _, block := range blocks {
				if _, err := t.write(block, s); err != nil {
					return withAdvice(err)
				}
			}
		}
	}
	return nil
}

func samples(state string) []Step {
	bare := Step{State: state, Location: "ve9EPM428h8vShlRW1KT", Order: "62f5d3b0c4a1e20011a7e4b1"}
	full := bare
	full.Part, full.Shipment, full.SageOrder = true, "62f5d3b0c4a1e20011a7e4b2", 4711
	full.Items = []Item{{"Shirt", 2}, {"Mug", 1}}
	full.Trackings = []Tracking{{"1Z999AA10123456784", "UPS", "https://carrier.example/1Z999AA10123456784"}, {Number: "00340434"}}
	full.Since, full.Reason = time.Date(2026, 3, 2, 14, 5, 0, 0, time.UTC), "refunded in full"
	address := "https://app.example/"
	full = full.WithLinks(Links{address, address, address}, Place{Workflow: "fulfillment/ve9EPM428h8vShlRW1KT/62f5d3b0c4a1e20011a7e4b1"})
	whole := full
	whole.Part, whole.Shipment, whole.Reason = false, "", ""
	return []Step{bare, full, whole}
}

// withAdvice makes an error of text/template one for whoever wrote the file. It begins with "template: FILE:LINE".
func withAdvice(err error) error {
	text := strings.TrimPrefix(err.Error(), "template: ")
	if strings.Contains(text, "notify.") {
		text += "; the placeholders are .State .Part .Location .Order .SageOrder .Shipment .Items .What .Trackings .Parcels " +
			".Since .When .Reason .Workflow .OrderLink .SageLink .WorkflowLink, and .Name .Quantity .Number .Carrier .URL within their lists"
	}
	return errors.New(text + "; correct the file, or unset NOTIFY_TEMPLATES to use the texts that come with Tallystick")
}

// Message is the text for a team. It, and the others, may be empty: then nothing is to be said of this step. On an error
// they are the texts that come with Tallystick.
func (t *Templates) Message(s Step) (string, error) { return t.text(messageBlock, s) }

// Activity is the text of an entry on the customer's account at Sage.
func (t *Templates) Activity(s Step) (string, error) { return t.text(activityBlock, s) }

// Task is a task in the calendar of Sage: the text's first line is its subject, cut to 100 characters, the rest its
// description.
func (t *Templates) Task(s Step) (subject, description string, err error) {
	text, err := t.text(taskBlock, s)
	subject, description, _ = strings.Cut(text, "\n")
	return Cut(subject, longestSubject), strings.TrimSpace(description), err
}

func (t *Templates) text(block string, s Step) (string, error) {
	if t == nil {
		t = defaults
	}
	text, err := t.write(block, s)
	if err != nil {
		text, _ = defaults.write(block, s) // which can't fail: tests write them all
	}
	return text, err
}

func (t *Templates) write(block string, s Step) (string, error) {
	if t.blank[block] {
		return "", nil
	}
	var text strings.Builder
	if err := t.set.ExecuteTemplate(&text, block, s); err != nil {
		return "", err
	}
	return tidy(text.String()), nil
}

// tidy takes out what is left of a template's own lines: blanks at the ends, and empty lines where a value was missing.
// A line that shall stay empty is more than anybody asked for so far.
func tidy(text string) string {
	var lines []string
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "\n")
}

// Cut shortens a text to so many characters, the last of which then shows that there was more.
func Cut(text string, most int) string {
	if letters := []rune(text); len(letters) > most {
		return string(letters[:most-1]) + "…"
	}
	return text
}

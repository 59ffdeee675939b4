package sage

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"

	"github.com/tallystick/tallystick/clients/transport"
	"github.com/tallystick/tallystick/domain"
)

// Codes of the vendor's own (developer page). Where in an answer they stand is not documented (A70).
const (
	// CodeDatabase: Sage has no connection to its database. It passes.
	CodeDatabase = "900"
	// CodeFilter: a filter made no valid SQL.
	CodeFilter = "901"
	// CodeMissing: the resource does not exist.
	CodeMissing = "910"
)

// codeInText finds a vendor code that stands in the words rather than in a field of its own (inferred, A70).
var codeInText = regexp.MustCompile(`(?i)(?:^|\b(?:error|code)\W{0,12})(900|901|910)\b`)

// readWords reads an error body. Seen are {"Message"}, {"message"} and {"statusCode", "message", "error"} (endpoint
// pages), {"error", "code", "message"} (vendor's connector) and plain text.
//
// A server may echo what it was sent, and the first thing it is sent are the keys.
func readWords(status int, header http.Header, body []byte, keys *strings.Replacer) transport.Words {
	words := transport.ReadWords(status, header, body)
	words.Code, words.Message = keys.Replace(words.Code), keys.Replace(words.Message)
	if words.Code == "" {
		if found := codeInText.FindStringSubmatch(words.Message); found != nil {
			words.Code = found[1]
		}
	}
	return words
}

// MaybeNotFound tells whether an error may mean that the record addressed does not exist. Sage answers 400 for a missing
// id on get, update and delete (endpoint pages), as it does for much else, so this is only a hint (A53): ask [Resource.Lookup].
func MaybeNotFound(err error) bool {
	e := transport.AsError(err)
	if e == nil {
		return false
	}
	byID := false
	for _, action := range []string{actionGet, actionUpdate, actionDelete} {
		byID = byID || strings.HasSuffix(e.Operation, "."+action)
	}
	switch e.Status {
	case http.StatusBadRequest, http.StatusNotFound, http.StatusGone:
		return byID || e.Code == CodeMissing
	}
	return false
}

// MappingError says that something the tenant must have, or that must be chosen, is missing: a currency, a status, a
// branch. It cannot heal by repeating, only by setting up Sage or the environment.
type MappingError struct {
	// What is looked for, such as `currency "EUR"`.
	What string
	// Variable is the environment variable that settles the choice, or "" where there is none.
	Variable string
	// Choices are what the tenant offers instead, as "id label". Never people's names.
	Choices []string
}

// Error implements error.
func (e *MappingError) Error() string {
	var b strings.Builder
	b.WriteString("sage: no single " + e.What)
	if e.Variable != "" {
		b.WriteString("; set " + e.Variable)
	}
	if len(e.Choices) == 0 {
		b.WriteString("; the tenant offers none")
	} else {
		b.WriteString("; the tenant offers " + strings.Join(e.Choices, ", "))
	}
	return b.String()
}

// wrongCall is an error about a call that was never sent.
func wrongCall(operation, format string, args ...any) error {
	return &transport.Error{Vendor: vendor, Operation: operation,
		Err: fmt.Errorf("%w: "+format, append([]any{transport.ErrInvalidCall}, args...)...)}
}

// invalid gives an error about the arguments its operation, and makes sure it is known for what it is.
func invalid(operation string, err error) error {
	if !errors.Is(err, transport.ErrInvalidCall) {
		err = fmt.Errorf("%w: %w", transport.ErrInvalidCall, err)
	}
	return &transport.Error{Vendor: vendor, Operation: operation, Err: err}
}

// unreadable is an error about a success that makes no sense. The cause's own text is left out, because the errors of
// encoding/json quote values.
func unreadable(operation string, write bool, cause error) error {
	reason := "it is not the JSON expected"
	var wrongType *json.UnmarshalTypeError
	switch {
	case errors.As(cause, &wrongType):
		reason = "the field " + wrongType.Field + " is a JSON " + strings.Fields(wrongType.Value + " ")[0]
	case errors.Is(cause, errWire):
		reason = cause.Error()
	case errors.Is(cause, domain.ErrMoney):
		reason = "an amount is no exact decimal number"
	}
	return &transport.Error{Vendor: vendor, Operation: operation, Status: http.StatusOK, MayHaveLanded: write,
		Err: fmt.Errorf("%w: %s", transport.ErrUnreadable, reason)}
}

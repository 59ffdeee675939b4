// Package sage is Sage Sales Management (once ForceManager) as an in-process server: the REST API v4 with login,
// resources, value lists, extra fields, the where language, its limits and its habits, so that everything built on that
// API can be run and tested without a tenant.
//
// It imitates what the vendor documents and what public code that talks to the API was seen to rely on, awkward parts
// included: foreign keys are written as integers and read as objects, updates are partial PUTs, a create answers 200
// with a capital Message and no record, a missing id is 400, lists are bare arrays with deleted rows in them, page 0
// comes first, dateUpdated is null until the first update, the Z of a date is not proven to be UTC, totals are never
// computed or checked, an extId may exist twice, and fields nobody knows are ignored without a word. Where the vendor is
// silent the server picks the stricter behaviour, or leaves the choice to Options.
//
// Activities, the calendar, opportunities and booked sales are there as well, and hooks, which are sent to their addresses
// in the background after every committed write of anybody.
//
// Beside the API there is a way in for tests: what people do in the web application (PeopleCreate and so on), every
// committed write with its user (Writes), hooks as they were sent (HookDeliveries), calls counted by operation (Calls),
// and the content in a form that two runs can be compared by (Snapshot).
//
// It is no store: everything is in memory and gone with the process. The sandbox program, tests and benchmarks call it;
// product code never does.
package sage

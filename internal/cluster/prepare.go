package cluster

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// probeWait is the pause between two questions whether new search attributes can be used yet. A server takes up to
// some ten seconds to tell all its parts.
const probeWait = 200 * time.Millisecond

// CheckNamespace tells whether the namespace exists and may be used, and what to do if not.
func CheckNamespace(ctx context.Context, c client.Client, namespace string) error {
	_, err := c.WorkflowService().DescribeNamespace(ctx, &workflowservice.DescribeNamespaceRequest{Namespace: namespace})
	var missing *serviceerror.NamespaceNotFound
	var notFound *serviceerror.NotFound
	switch {
	case err == nil:
		return nil
	case errors.As(err, &missing), errors.As(err, &notFound):
		return fmt.Errorf("the Temporal namespace %q does not exist: create it (temporal operator namespace create -n %s) or set TEMPORAL_NAMESPACE: %w",
			namespace, namespace, err)
	default:
		return fmt.Errorf("look at the Temporal namespace %q: %w", namespace, err)
	}
}

// EnsureSearchAttributes creates the search attributes that the namespace lacks and returns once all of them can be
// used. Any number of processes may do so at once. It fails if one exists with another type, or if they are missing
// where only an administrator may create them, as in Temporal Cloud.
func EnsureSearchAttributes(ctx context.Context, c client.Client, namespace string, want map[string]enumspb.IndexedValueType) error {
	listed, err := c.OperatorService().ListSearchAttributes(ctx, &operatorservice.ListSearchAttributesRequest{Namespace: namespace})
	switch {
	case err == nil:
		if err := create(ctx, c, namespace, want, listed.GetCustomAttributes()); err != nil {
			return err
		}
	case !forbidden(err):
		return fmt.Errorf("list the search attributes of the Temporal namespace %q: %w", namespace, err)
	default: // Temporal Cloud: whether they are usable is all that can be known
		for name, kind := range want {
			if usable, err := usable(ctx, c, namespace, name); err != nil {
				return err
			} else if !usable {
				return fmt.Errorf("the search attribute %s (%s) is missing in the namespace %q and may not be created from here: "+
					"create it where the namespace is administered", name, kind, namespace)
			}
		}
		return nil
	}
	return awaitUsable(ctx, c, namespace, slices.Sorted(maps.Keys(want)))
}

func create(ctx context.Context, c client.Client, namespace string, want, have map[string]enumspb.IndexedValueType) error {
	missing := map[string]enumspb.IndexedValueType{}
	for name, kind := range want {
		switch found, ok := have[name]; {
		case !ok:
			missing[name] = kind
		case found != kind:
			return fmt.Errorf("the search attribute %s of the Temporal namespace %q is of type %s and must be %s: "+
				"use another namespace, or remove it there", name, namespace, found, kind)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	_, err := c.OperatorService().AddSearchAttributes(ctx,
		&operatorservice.AddSearchAttributesRequest{Namespace: namespace, SearchAttributes: missing})
	var exists *serviceerror.AlreadyExists
	if err != nil && !errors.As(err, &exists) {
		return fmt.Errorf("create the search attributes %s in the Temporal namespace %q: %w",
			strings.Join(slices.Sorted(maps.Keys(missing)), ", "), namespace, err)
	}
	return nil
}

// awaitUsable waits until the server's front end knows the attributes: starting a workflow with one it has not heard of
// yet would fail.
func awaitUsable(ctx context.Context, c client.Client, namespace string, names []string) error {
	for _, name := range names {
		for {
			usable, err := usable(ctx, c, namespace, name)
			if err != nil {
				return err
			}
			if usable {
				break
			}
			select {
			case <-ctx.Done():
				return fmt.Errorf("the search attribute %s is created but not usable yet: %w", name, ctx.Err())
			case <-time.After(probeWait):
			}
		}
	}
	return nil
}

// usable asks with a query, which fails as invalid while the attribute is unknown.
func usable(ctx context.Context, c client.Client, namespace, name string) (bool, error) {
	_, err := c.WorkflowService().CountWorkflowExecutions(ctx, &workflowservice.CountWorkflowExecutionsRequest{
		Namespace: namespace, Query: name + " IS NOT NULL",
	})
	var invalid *serviceerror.InvalidArgument
	switch {
	case err == nil:
		return true, nil
	case errors.As(err, &invalid):
		return false, nil
	default:
		return false, fmt.Errorf("ask whether the search attribute %s can be used: %w", name, err)
	}
}

func forbidden(err error) bool {
	var denied *serviceerror.PermissionDenied
	var unimplemented *serviceerror.Unimplemented
	return errors.As(err, &denied) || errors.As(err, &unimplemented)
}

// unauthenticated has no type of its own in Temporal's library.
func unauthenticated(err error) bool {
	var withStatus interface{ GRPCStatus() *status.Status }
	return errors.As(err, &withStatus) && withStatus.GRPCStatus().Code() == codes.Unauthenticated
}

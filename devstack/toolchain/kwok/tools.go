//go:build tools

// Package tools pins kwok, which plays the nodes in the benchmark of the operator, in a module of
// its own: its Kubernetes libraries are not those that the cluster is built with.
package tools

import _ "sigs.k8s.io/kwok/cmd/kwok"

//go:build tools

// Package tools pins the container runtime, in a module of its own: its
// cri-api is newer than the one Kubernetes is built with.
package tools

import (
	_ "github.com/containerd/containerd/v2/cmd/containerd"
	_ "github.com/containerd/containerd/v2/cmd/containerd-shim-runc-v2"
	_ "github.com/containerd/containerd/v2/cmd/ctr"
)

//go:build tools

// Package tools pins runc, the one program here that needs cgo (libseccomp).
package tools

import _ "github.com/opencontainers/runc"

//go:build !unix

package transport

func outOfResources(error) bool { return false }

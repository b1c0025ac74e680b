// Package container tests the image for containers as it is used: podman runs it next to a
// real Postfix in a second container. It has nothing but tests.
//
// The tests need root, control groups of version 2 and Debian's archive, from which podman
// and Postfix are unpacked once, below build/e2e/roots; nothing is installed on the host. They run
// in namespaces of their own (e2e/internal/isolated) whose root directory is that tree, because
// podman's runtime enters containers by their mount namespaces, which a chroot does not change.
// Where podman cannot run even a program of Debian's, all is left out and named.
//
// The bridge of one network joins the containers and the test, which is their resolver and
// has the policy hosts:
//
//	10.88.0.1     the test: DNS, policy hosts
//	10.88.0.N     containers
package container

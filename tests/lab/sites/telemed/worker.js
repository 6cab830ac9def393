// SPDX-License-Identifier: BSD-2-Clause
// A service worker of the service's page: fetches what it is told.
self.onmessage = event => event.waitUntil(fetch(event.data).catch(() => {}));

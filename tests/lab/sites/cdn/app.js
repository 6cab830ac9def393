/* SPDX-License-Identifier: BSD-2-Clause */
/* The call: as long as this page is open, its call host hears from it every second. */
"use strict";
(function () {
    let beats = 0;
    async function beat() {
        try {
            const answer = await fetch("/api/beat?n=" + beats, { cache: "no-store" });
            if (!answer.ok) {
                throw new Error(String(answer.status));
            }
            const facts = await answer.json();
            beats += 1;
            document.getElementById("state").textContent = facts.call;
            document.getElementById("beats").textContent = String(beats);
        } catch (error) {
            document.getElementById("state").textContent = "切断 " + error.message;
        }
    }
    beat();
    setInterval(beat, 1000);
})();

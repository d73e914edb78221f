"use strict";
// Shows the dashboard anew once a minute, while somebody looks; what is open stays open. Without this script it is the same page, as of when it was loaded.

const EVERY_MS = 60000;

async function renew() {
  if (document.hidden) return;
  const answer = await fetch(location.pathname, { headers: { Accept: "text/html" } }).catch(() => null);
  if (!answer || !answer.ok) return;
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  const main = fresh.getElementById("life");
  if (!main) return;
  for (const open of document.querySelectorAll("details[open]")) fresh.getElementById(open.id)?.setAttribute("open", "");
  const held = document.activeElement && document.getElementById("life").contains(document.activeElement);
  if (held) return; // somebody is reading a table with the keyboard
  document.getElementById("life").replaceWith(document.adoptNode(main));
  document.querySelector("header time").textContent = fresh.querySelector("header time").textContent;
}

setInterval(renew, EVERY_MS);

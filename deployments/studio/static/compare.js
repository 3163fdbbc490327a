// Two drafts: how many characters each has, and which stands on which side.
"use strict";

const drafts = ["a", "b"].map((name) => document.getElementById(name));

function count() {
  for (const draft of drafts) {
    const length = studioCount.weightedLength(studioCount.normalized(draft.value));
    document.querySelector(`[data-count="${draft.name}"]`).textContent = length;
  }
}

for (const draft of drafts) draft.addEventListener("input", count);
document.getElementById("swap").addEventListener("click", () => {
  [drafts[0].value, drafts[1].value] = [drafts[1].value, drafts[0].value];
  count();
  // What is shown below speaks of the sides as they stood.
  if (document.querySelector(".verdict")) drafts[0].form.requestSubmit();
});
count();
fetch(document.getElementById("drafts").dataset.counting)
  .then((answer) => answer.json())
  .then((data) => {
    studioCount.learn(data);
    count();
  });

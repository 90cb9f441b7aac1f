"""A reward of one's own in another language: how many different words a caption has.

    finecap train scst ... --set 'scst.reward.external=[{name="variety", command="python3 examples/external_reward.py"}]'
    finecap eval captions ... --external variety="python3 examples/external_reward.py"

Each line of stdin is an object with "id", "image", "path", "caption" and "references"; each is answered
with a line of "id" and "score". What is printed to stderr is shown when something goes wrong.
"""

import json
import sys

for line in sys.stdin:
    question = json.loads(line)
    words = question["caption"].split()
    score = len(set(words)) - 0.5 * (len(words) - len(set(words)))
    print(json.dumps({"id": question["id"], "score": score}), flush=True)

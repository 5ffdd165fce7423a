"""Ask the server of docs/tutorial.md with the official client of OpenAI."""

import os

from openai import OpenAI

client = OpenAI(base_url="http://127.0.0.1:8080/v1", api_key=os.environ["TRIM_KEY"], max_retries=10)
model = client.models.list().data[0].id
problem = {"role": "user", "content": "64 k-9 l-9 m*3! n+71 o-5?"}
answer = client.chat.completions.create(model=model, messages=[problem], seed=1)
print(answer.choices[0].message.content)
for step in answer.model_extra["trim"]["steps"]:
    print(step["author"], step["score"], step["why"])
print(answer.usage.model_extra["strong_tokens"], "strong tokens")

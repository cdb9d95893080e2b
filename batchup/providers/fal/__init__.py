"""fal: upscalers that cost money, through a queue that outlives this process."""

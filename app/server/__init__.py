"""``idiolect serve``: voices for other programs, through OpenAI's protocol on this computer.

starlette and uvicorn (the extra ``serve``) are imported inside functions only, so that nothing of a network is loaded
before a server is asked for.
"""

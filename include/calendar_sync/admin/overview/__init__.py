"""The first page: does the sync run, and is everybody fresh?"""
